use super::*;
use reprise_abi::GovernedRule;

fn manifest(name: &str, version: &str, rule: u8) -> Manifest {
    let description = Description {
        name: name.to_owned(),
        version: version.to_owned(),
        input_kinds: Vec::new(),
        views: Vec::new(),
        rejections: Vec::new(),
        governed: vec![GovernedRule { name: "lease-policy".to_owned(), digest: [rule; 32] }],
    };
    Manifest { format: PACKAGE_FORMAT, publisher: "example.com".to_owned(), description, component: [0; 32] }
}

#[test]
fn a_governed_rule_changes_only_with_a_major_version() {
    let old = manifest("lease", "1.2.3", 1);
    let hidden = Err(SuccessorError::HiddenChange { rule: "lease-policy".to_owned() });
    assert_eq!(manifest("lease", "1.2.4", 2).check_successor_of(&old), hidden);
    assert_eq!(manifest("lease", "1.3.0", 2).check_successor_of(&old), hidden);
    assert_eq!(manifest("lease", "2.0.0", 2).check_successor_of(&old), Ok(()));
    assert_eq!(manifest("lease", "1.2.4", 1).check_successor_of(&old), Ok(()));
    let mut dropped = manifest("lease", "1.3.0", 1);
    dropped.description.governed.clear();
    assert_eq!(dropped.check_successor_of(&old), hidden, "a rule that is gone has changed");
}

#[test]
fn only_a_later_version_of_the_same_policy_takes_over() {
    let old = manifest("lease", "1.2.3", 1);
    assert_eq!(manifest("lease", "1.2.3", 1).check_successor_of(&old), Err(SuccessorError::NotLater));
    assert_eq!(manifest("lease", "1.2.2", 1).check_successor_of(&old), Err(SuccessorError::NotLater));
    assert_eq!(manifest("other", "2.0.0", 1).check_successor_of(&old), Err(SuccessorError::OtherPolicy));
}

#[test]
fn versions_have_one_spelling() {
    for text in ["1.2", "1.2.3.4", "01.2.3", "1.2.x", "1.2.+3", "", "1..3"] {
        assert_eq!(text.parse::<Version>(), Err(SuccessorError::Version), "{text:?}");
    }
    assert_eq!("10.0.2".parse::<Version>().unwrap().to_string(), "10.0.2");
}

#[test]
fn a_signature_is_for_one_package_one_publisher_and_one_key() {
    let key = SigningKey::from_secret(&[3; 32]);
    let description = manifest("lease", "1.0.0", 1).description;
    let package = Package::sign(description.clone(), vec![1, 2, 3], "example.com", &key).unwrap();
    let publisher = NoteKey::new("example.com", key.public()).unwrap();
    assert_eq!(package.verify(&publisher), Ok(()));
    let stranger = NoteKey::new("example.com", SigningKey::from_secret(&[4; 32]).public()).unwrap();
    assert_eq!(package.verify(&stranger), Err(PackageError::Note(NoteError::Unverified)));
    let other_name = NoteKey::new("example.org", key.public()).unwrap();
    assert_eq!(package.verify(&other_name), Err(PackageError::OtherPublisher));
    let other = Package::sign(description, vec![9], "example.com", &key).unwrap();
    let swapped = Package { note: other.note, ..package.clone() };
    assert_eq!(swapped.verify(&publisher), Err(PackageError::OtherPackage));
    let changed = Package { component: vec![1, 2, 4], ..package };
    assert_eq!(changed.verify(&publisher), Err(PackageError::Component));
    assert_eq!(NoteKey::parse(&publisher.to_string()), Ok(publisher));
}
