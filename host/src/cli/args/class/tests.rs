use super::{super::Arguments, Class};
use clap::Parser;

#[test]
fn what_changes_something_is_not_taken_for_a_reader() {
    let check = |line: &str, expected: Class| {
        let parsed = Arguments::try_parse_from(["reprise"].into_iter().chain(line.split(' ')));
        assert_eq!(parsed.unwrap_or_else(|error| panic!("{line}: {error}")).command.class(), expected, "{line}");
    };
    for line in [
        "key show",
        "package list",
        "ledger list",
        "ledger show l",
        "ledger drivers l",
        "ledger set l",
        "receipts list l",
        "receipts show l 1",
        "receipts prove l 1 --out f",
        "state get l k",
        "state scan l",
        "state view l",
        "state check-projection f",
        "verify l",
        "replay l",
        "checkpoint list l",
        "checkpoint show l",
        "checkpoint drop l 1 --dry-run",
        "recover rollback l --to 1 --dry-run",
        "recover restore l --dry-run",
        "recover take l --from d --dry-run",
        "recover rebuild l --dry-run",
        "recover runtime l",
        "recover resume l --dry-run",
        "recover abandon l --dry-run",
        "doctor l",
        "quarantine list l",
        "quarantine show l 1",
        "quarantine export l 1 --out d",
        "quarantine drop l 1 --dry-run",
        "bundle export l --kind replay --out f",
        "bundle import f --key k --dry-run",
        "archive write l --archive d",
        "archive hydrate l --archive d --dry-run",
        "archive prune l --archive d --keep 1 --dry-run",
        "log serve-dir l d",
        "evidence make fault l 1 --out f",
    ] {
        check(line, Class::Reads);
    }
    for line in [
        "advance l",
        "ledger create l --package p",
        "ledger drivers l --set d=log",
        "ledger drivers l --unset d",
        "ledger set l --keep 1",
        "ledger resume l",
        "ledger upgrade l --package p",
        "ledger grant l --to-owner k --attester k --out f",
        "checkpoint drop l 1",
        "recover rollback l --to 1",
        "recover restore l",
        "recover take l --from d",
        "recover rebuild l",
        "recover resume l",
        "recover abandon l",
        "doctor l --repair",
        "quarantine drop l 1",
        "bundle import f --key k",
        "archive hydrate l --archive d",
        "archive prune l --archive d --keep 1",
    ] {
        check(line, Class::Changes);
    }
    for line in ["submit l f", "status", "peers", "federation status", "reconcile", "node stop", "checkpoint create l"]
    {
        check(line, Class::Asks);
    }
    for line in ["verify f --key k", "bundle inspect f", "evidence show f", "quarantine list --peers", "peer key"] {
        check(line, Class::Here);
    }
    check("package add f", Class::Adds);
}
