//! uv and the index for real; run by `cargo xtask test`.

use process::Cancel;

use super::{
    super::super::{rules, uv},
    *,
};

/// The repository's own lists and limits.
fn repository() -> LockRequest {
    let read = |name: &str| std::fs::read_to_string(folder().join(name)).unwrap();
    let list = |list: List| read(&list.file());
    let mut request = request(&list(List::Core), &list(List::Gpu), &list(List::Audio));
    let rules = rules::read(&folder().join("rules.toml")).unwrap();
    request.limits = rules.limits;
    request.build_limits = rules.build;
    request.build = read(BUILD_LIST);
    request.test = read(TEST_LIST);
    request.existing = super::read(&folder()).unwrap();
    request
}

#[test]
#[ignore = "needs the package index"]
fn locking_the_repositorys_lists_again_changes_nothing() {
    let request = repository();
    let scratch = tempfile::tempdir().unwrap();
    let cancel = Cancel::default();
    let uv = uv::find(
        &request.existing[BUILD_LOCK],
        scratch.path(),
        &cancel,
        &|_| {},
    )
    .unwrap();
    let locked = lock(&request, &Upgrade::None, &uv, scratch.path(), &cancel).unwrap();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        publish(&folder(), &locked).unwrap();
        return;
    }
    assert_eq!(locked.moved, []);
    for (name, text) in &locked.files {
        assert_eq!(request.existing.get(name), Some(text), "{name}");
    }
    assert_eq!(check(&request), []);
}
