use super::*;
use crate::engine::component::{componentize, tests::harmless};
use wasmtime::Config;

const KEY: [u8; 32] = [9; 32];
const PACKAGE: PackageDigest = PackageDigest::from_bytes([1; 32]);

struct Fixture {
    dir: tempfile::TempDir,
    engine: Engine,
    component: Vec<u8>,
}

impl Fixture {
    fn new() -> Self {
        let engine = Engine::new(&BackEnd::Pulley.config().unwrap()).unwrap();
        let dir = tempfile::tempdir().unwrap();
        Self { dir, engine, component: componentize(&harmless()).unwrap() }
    }

    fn dir(&self) -> PathBuf {
        self.dir.path().join("cache")
    }

    fn open(&self, key: [u8; 32]) -> CodeCache {
        CodeCache::open(&self.dir(), key).unwrap()
    }

    fn compile(&self, cache: &CodeCache) {
        cache.compiled(&self.engine, BackEnd::Pulley, PACKAGE, &self.component).unwrap();
    }

    fn entry(&self) -> EntryName {
        entry_name(&self.engine, BackEnd::Pulley, PACKAGE, &self.component)
    }

    fn files(&self) -> Vec<PathBuf> {
        fs::read_dir(self.dir()).unwrap().map(|entry| entry.unwrap().path()).collect()
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn what_was_compiled_is_found_again() {
    let fixture = Fixture::new();
    let cache = fixture.open(KEY);
    assert!(cache.read(&fixture.entry()).is_none());
    fixture.compile(&cache);
    let code = fixture.open(KEY).read(&fixture.entry()).unwrap();
    assert!(deserialize::trusted(&fixture.engine, &code).is_ok());
    fixture.compile(&cache);
    assert_eq!(fixture.files().len(), 1);
}

#[test]
fn nobody_else_can_read_or_write() {
    let fixture = Fixture::new();
    fixture.compile(&fixture.open(KEY));
    assert_eq!(mode(&fixture.dir()), 0o700);
    assert_eq!(mode(&fixture.files()[0]), 0o600);
    fs::set_permissions(fixture.dir(), fs::Permissions::from_mode(0o750)).unwrap();
    assert!(matches!(CodeCache::open(&fixture.dir(), KEY), Err(CacheError::NotPrivate { mode: 0o750, .. })));
}

#[test]
fn a_changed_entry_is_discarded() {
    let fixture = Fixture::new();
    let cache = fixture.open(KEY);
    fixture.compile(&cache);
    let path = cache.path(&fixture.entry());
    let whole = fs::read(&path).unwrap();
    let damage: [fn(&mut Vec<u8>); 6] = [
        |entry| entry[0] ^= 1,
        |entry| entry[TAG_BYTES] ^= 1,
        |entry| *entry.last_mut().unwrap() ^= 0x80,
        |entry| entry.truncate(TAG_BYTES - 1),
        |entry| entry.push(0),
        Vec::clear,
    ];
    for damage in damage {
        let mut entry = whole.clone();
        damage(&mut entry);
        fs::write(&path, entry).unwrap();
        assert!(cache.read(&fixture.entry()).is_none());
        assert!(!path.exists(), "it is deleted");
        fixture.compile(&cache);
        assert_eq!(fs::read(&path).unwrap(), whole, "and compiled anew");
    }
}

#[test]
fn an_entry_of_another_node_is_discarded() {
    let fixture = Fixture::new();
    fixture.compile(&fixture.open([1; 32]));
    assert!(fixture.open(KEY).read(&fixture.entry()).is_none());
}

#[test]
fn an_entry_under_another_name_is_discarded() {
    let fixture = Fixture::new();
    let cache = fixture.open(KEY);
    fixture.compile(&cache);
    let other = entry_name(&fixture.engine, BackEnd::Pulley, PackageDigest::from_bytes([2; 32]), &fixture.component);
    fs::rename(cache.path(&fixture.entry()), cache.path(&other)).unwrap();
    assert!(cache.read(&other).is_none());
}

#[test]
fn names_tell_apart_what_compiles_to_other_code() {
    let fixture = Fixture::new();
    let mut config = Config::new();
    config.consume_fuel(true);
    let other_engine = Engine::new(&config).unwrap();
    let mut names = vec![
        fixture.entry(),
        entry_name(&other_engine, BackEnd::Pulley, PACKAGE, &fixture.component),
        entry_name(&fixture.engine, BackEnd::CRANELIFT, PACKAGE, &fixture.component),
        entry_name(&fixture.engine, BackEnd::Pulley, PackageDigest::from_bytes([2; 32]), &fixture.component),
        entry_name(&fixture.engine, BackEnd::Pulley, PACKAGE, b"another component"),
    ];
    names.sort_by_key(|name| *name.0.as_bytes());
    names.dedup_by_key(|name| name.0);
    assert_eq!(names.len(), 5);
    assert_eq!(fixture.entry().0, fixture.entry().0);
}

#[test]
fn code_of_another_build_is_compiled_anew() {
    let fixture = Fixture::new();
    let cache = fixture.open(KEY);
    cache.write(&fixture.entry(), b"code of some other version").unwrap();
    fixture.compile(&cache);
    let code = cache.read(&fixture.entry()).unwrap();
    assert!(deserialize::trusted(&fixture.engine, &code).is_ok());
}

#[test]
fn a_failure_is_not_kept() {
    let fixture = Fixture::new();
    let cache = fixture.open(KEY);
    assert!(cache.compiled(&fixture.engine, BackEnd::Pulley, PACKAGE, b"not a component").is_err());
    assert!(fixture.files().is_empty());
}

#[test]
fn a_cache_that_cannot_be_written_costs_only_time() {
    let fixture = Fixture::new();
    let cache = fixture.open(KEY);
    fs::remove_dir(fixture.dir()).unwrap();
    fixture.compile(&cache);
    assert!(!fixture.dir().exists());
}

#[test]
fn a_file_is_no_directory() {
    let fixture = Fixture::new();
    fs::write(fixture.dir(), b"").unwrap();
    fs::set_permissions(fixture.dir(), fs::Permissions::from_mode(0o600)).unwrap();
    assert!(matches!(CodeCache::open(&fixture.dir(), KEY), Err(CacheError::Io { .. })));
}
