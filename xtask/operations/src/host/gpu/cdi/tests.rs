//! What is a specification, and where it is none.

use super::*;

const SPEC: &str = r#"
cdiVersion: 0.5.0
kind: nvidia.com/gpu
containerEdits:
  env: ["NVIDIA_VISIBLE_DEVICES=void"]
  deviceNodes:
    - {path: /dev/nvidiactl}
  mounts:
    - {hostPath: /usr/lib/libcuda.so.550.90.07, containerPath: /usr/lib/libcuda.so.550.90.07, options: [ro]}
  hooks:
    - {hookName: createContainer, path: /usr/bin/nvidia-cdi-hook, args: [x]}
devices:
- name: "0"
  containerEdits:
    deviceNodes:
    - path: /dev/nvidia0
      hostPath: /dev/nvidia0
      major: 195
      minor: 0
      type: c
- name: all
  containerEdits: {}
"#;

#[test]
fn all_that_is_of_interest_is_read() {
    let spec = parse(SPEC).unwrap();
    assert_eq!((&*spec.version, &*spec.kind), ("0.5.0", "nvidia.com/gpu"));
    assert_eq!(spec.version_numbers(), Some((0, 5, 0)));
    assert_eq!(spec.needs, (0, 5, 0));
    let names: Vec<&str> = spec
        .devices
        .iter()
        .map(|device| device.name.as_str())
        .collect();
    assert_eq!(names, ["0", "all"]);
    let node = &spec.devices[0].edits.nodes[0];
    assert_eq!(
        (node.on_host(), node.major, node.minor),
        ("/dev/nvidia0", Some(195), Some(0))
    );
    let files: Vec<&str> = spec.host_files().into_iter().collect();
    assert_eq!(
        files,
        ["/usr/bin/nvidia-cdi-hook", "/usr/lib/libcuda.so.550.90.07"]
    );
}

#[test]
fn json_is_read_as_well() {
    let json = r#"{"cdiVersion": "0.3.0", "kind": "a.b/c", "devices": [{"name": "x", "containerEdits": {"env": ["A=1"]}}]}"#;
    let spec = parse(json).unwrap();
    assert_eq!(spec.devices[0].edits.env, ["A=1"]);
    assert_eq!(spec.needs, (0, 3, 0));
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let wrong = |text: &str| parse(text).unwrap_err().to_string();
    assert!(wrong("").contains("the file is empty"));
    assert!(wrong("a: [1").starts_with("line "));
    assert!(wrong("- 1").contains("must be a mapping"));
    let at = |from: &str, to: &str| wrong(&SPEC.replacen(from, to, 1));
    assert_eq!(
        at("cdiVersion: 0.5.0\n", ""),
        "line 2, column 1: `cdiVersion` of the specification is missing"
    );
    assert_eq!(
        at("nvidia.com/gpu", "gpu"),
        "line 3, column 7: `kind` of the specification must be of the form VENDOR/CLASS"
    );
    assert_eq!(at("\"0\"", "0"), "line 13, column 9: `name` must be text");
    assert_eq!(
        at("\"0\"", "all"),
        "line 21, column 9: `name` of a device stands there twice"
    );
    assert_eq!(
        at("195", "x"),
        "line 18, column 14: `major` must be a whole number"
    );
}

#[test]
fn fields_tell_the_version_that_they_need() {
    let needs = |from: &str, to: &str| parse(&SPEC.replacen(from, to, 1)).unwrap().needs;
    let gids = "containerEdits:\n  additionalGids: [44]\n";
    assert_eq!(needs("containerEdits:\n", gids), (0, 7, 0));
    assert_eq!(needs("kind: ", "annotations: {a: b}\nkind: "), (0, 6, 0));
}

/// Whatever stands there, reading it ends with an answer.
#[test]
fn damage_does_no_harm() {
    for cut in 0..SPEC.len() {
        let _ = parse(&SPEC[..cut]);
        for other in [":", "- ", "{", "\"", "\t", "&a *a", "!!binary "] {
            let _ = parse(&format!("{}{other}{}", &SPEC[..cut], &SPEC[cut..]));
        }
    }
    let _ = parse(&"[".repeat(100_000));
    let _ = parse(&"{a: ".repeat(100_000));
    let deep: String = (0..1_000)
        .map(|depth| format!("{}a:\n", " ".repeat(depth)))
        .collect();
    let _ = parse(&deep);
}
