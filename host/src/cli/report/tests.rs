use super::*;

#[test]
fn a_page_keeps_what_is_said_with_its_mark_and_no_more_than_it_has_room_for() {
    let print = Printer::on_page(true);
    print.record(Record::new().with("seq", 1));
    print.mark_stale("old".into());
    print.rows(vec![Record::new().with("seq", 2)]);
    print.warn("look");
    let Page { out, errors, is_full, .. } = print.take_page();
    let said = ("{\"seq\":1}\n[{\"seq\":2,\"stale\":\"old\"}]\n", "reprise: look\n", false);
    assert_eq!((out.as_str(), errors.as_str(), is_full), said);

    let line = "x".repeat(PAGE_BYTES_MAX / 3);
    (0..4).for_each(|_| print.say(&line));
    assert!(print.is_full());
    print.say("short");
    let page = print.take_page();
    assert_eq!(page.out.len(), 2 * (line.len() + 1), "what comes after a gap is left out too");
}
