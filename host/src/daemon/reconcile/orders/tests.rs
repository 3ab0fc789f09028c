use super::*;
use reprise_receipts::SigningKey;

#[test]
fn what_the_policy_says_is_read() {
    let key = SigningKey::from_secret(&[7; 32]).public();
    let (ledger, peer) = (LedgerId::from_bytes([0xab; 32]), NodeKey(key));
    let table = [
        (r#""do":"fetch","peer":"P""#, Order::Fetch { ledger, peer }),
        (r#""do":"roll_back","peer":"P","to":7"#, Order::RollBack { ledger, peer, to: 7 }),
        (
            r#""do":"suspend","reason":"contradiction","at":3"#,
            Order::Suspend { ledger, why: Suspension::Contradiction { at: 3 } },
        ),
        (r#""do":"verify""#, Order::Verify { ledger }),
        (r#""do":"restore","attempt":2"#, Order::Restore { ledger, attempt: 2 }),
        (r#""do":"rebuild""#, Order::Rebuild { ledger }),
        (r#""do":"resume""#, Order::Resume { ledger }),
        (r#""do":"quarantine","peer":"P""#, Order::Quarantine { peer }),
        (r#""do":"release","peer":"P""#, Order::Release { peer }),
    ];
    for (text, order) in table {
        let payload = format!("{{\"ledger\":\"{ledger}\",{}}}", text.replace("\"P\"", &format!("\"{key}\"")));
        assert_eq!(Order::read(payload.as_bytes()), Some(order), "{payload}");
    }
    for odd in ["", "{}", r#"{"do":"odd"}"#, r#"{"do":"fetch","ledger":"ab","peer":"cd"}"#] {
        assert_eq!(Order::read(odd.as_bytes()), None, "{odd}");
    }
}
