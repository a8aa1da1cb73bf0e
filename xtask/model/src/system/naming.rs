//! Names: how they are derived, and which ones podman takes.
//!
//! Pure text functions; nothing here knows the manifest.

/// Longest container name: it is the host name too, one DNS label.
pub const CONTAINER_NAME_MAX: usize = 63;

/// `SystemDigitalTwin` -> `system-digital-twin`.
///
/// A word starts at a capital that a small letter or a digit follows, and at a run of two
/// or more capitals (`RequestGPU` -> `request-gpu`). A single capital at the
/// end of a word belongs to it (`GoTToTAgent` -> `got-tot-agent`); common case
/// libraries split it off, which is why none is used.
pub fn kebab_case(name: &str) -> String {
    let letters: Vec<char> = name.chars().collect();
    let mut out = String::with_capacity(name.len() + 4);
    for (index, &letter) in letters.iter().enumerate() {
        if !letter.is_alphanumeric() {
            if !out.is_empty() && !out.ends_with('-') {
                out.push('-');
            }
            continue;
        }
        if index > 0 && !out.is_empty() && !out.ends_with('-') && starts_word(&letters, index) {
            out.push('-');
        }
        out.extend(letter.to_lowercase());
    }
    while out.ends_with('-') {
        out.pop();
    }
    out
}

fn starts_word(letters: &[char], index: usize) -> bool {
    let is = |at: usize, kind: fn(char) -> bool| letters.get(at).is_some_and(|&c| kind(c));
    let capital = |at| is(at, char::is_uppercase);
    let small = |at| is(at, char::is_lowercase);
    if !capital(index) || small(index + 1) {
        return capital(index);
    }
    if capital(index - 1) {
        return false;
    }
    if is(index + 1, char::is_numeric) {
        return true;
    }
    // A run of capitals starts here. Its last one may open the next word
    // (`GPUNow`); what is left must be two or more to be a word of its own.
    let run = (index..).take_while(|&at| capital(at)).count();
    let own = if small(index + run) { run - 1 } else { run };
    own >= 2
}

/// Environment variable that holds the address of the agent `name`:
/// `SystemDigitalTwin` -> `SYSTEM_DIGITAL_TWIN_ADDRESS`.
pub fn address_variable(name: &str) -> String {
    format!(
        "{}_ADDRESS",
        kebab_case(name).replace('-', "_").to_uppercase()
    )
}

/// What podman accepts as the name of a container, network, image or volume:
/// `[a-zA-Z0-9][a-zA-Z0-9_.-]*`.
pub fn is_podman_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'))
}

/// Whether a variable of that name is likely to hold a secret: `OPENAI_API_KEY`, but
/// not `MAX_TOKENS`, and not `PASSWORD_FILE`, which is a path.
pub fn looks_secret(name: &str) -> bool {
    const ANYWHERE: &[&str] = &["PASSWORD", "PASSWD", "PASSPHRASE", "SECRET", "CREDENTIALS"];
    const LAST: &[&str] = &[
        "KEY",
        "TOKEN",
        "PASS",
        "PWD",
        "AUTH",
        "SECRETS",
        "CREDENTIAL",
        "PAT",
    ];
    const ELSEWHERE: &[&str] = &["FILE", "PATH", "DIR", "FOLDER", "NAME", "ID"];
    let name = name.to_ascii_uppercase();
    let words: Vec<&str> = name.split('_').filter(|word| !word.is_empty()).collect();
    let Some((last, before)) = words.split_last() else {
        return false;
    };
    if ELSEWHERE.contains(last) || *last == "KEY" && before.last() == Some(&"PUBLIC") {
        return false;
    }
    let glued = |word: &&str| last.len() > word.len() && last.ends_with(*word);
    words.iter().any(|word| ANYWHERE.contains(word))
        || LAST.contains(last)
        || ["APIKEY", "PASSWORD", "SECRET"].iter().any(glued)
        || *last == "APIKEY"
}

/// A letter, then letters, digits, `_` and `-`: such a name can be turned into
/// a container name and an environment variable.
pub fn is_agent_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
}

/// A name that a shell and Python's `os.environ` both take.
pub fn is_variable_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn container_names_are_the_plans() {
        for (agent, container) in [
            ("SystemDigitalTwin", "system-digital-twin"),
            ("CoordinatorAgent", "coordinator-agent"),
            ("ChainOfThoughtAgent", "chain-of-thought-agent"),
            ("SelfTrainingOrchestrator", "self-training-orchestrator"),
            ("GoTToTAgent", "got-tot-agent"),
            ("ModelManagerAgent", "model-manager-agent"),
            ("EmotionEngine", "emotion-engine"),
            ("AudioCapture", "audio-capture"),
            ("TinyLlamaService", "tiny-llama-service"),
            ("NLLBAdapter", "nllb-adapter"),
            ("PhiTranslationService", "phi-translation-service"),
        ] {
            assert_eq!(kebab_case(agent), container);
        }
    }

    #[test]
    fn other_shapes_of_names() {
        for (name, kebab) in [
            ("RequestGPU", "request-gpu"),
            ("RequestGPUNow", "request-gpu-now"),
            ("face_recognition_agent", "face-recognition-agent"),
            ("Phi2Service", "phi2-service"),
            ("UseGPT4All", "use-gpt4-all"),
            ("MyT5Model", "my-t5-model"),
            ("PlanB", "planb"),
            ("already-kebab", "already-kebab"),
            ("--odd__Name--", "odd-name"),
            ("A", "a"),
            ("", ""),
            ("ÄÖ", "äö"),
        ] {
            assert_eq!(kebab_case(name), kebab, "{name}");
        }
    }

    #[test]
    fn address_variables_follow_the_container_names() {
        assert_eq!(
            address_variable("SystemDigitalTwin"),
            "SYSTEM_DIGITAL_TWIN_ADDRESS"
        );
        assert_eq!(address_variable("GoTToTAgent"), "GOT_TOT_AGENT_ADDRESS");
    }

    #[test]
    fn names_that_podman_takes() {
        assert!(is_podman_name("a") && is_podman_name("0-a_b.c"));
        for bad in ["", "-a", ".a", "a b", "a/b", "a:b", "ä"] {
            assert!(!is_podman_name(bad), "{bad}");
        }
        assert!(is_variable_name("_A1") && !is_variable_name("1A") && !is_variable_name("A-B"));
        assert!(is_agent_name("NLLB-2") && !is_agent_name("2NLLB") && !is_agent_name("a.b"));
    }

    #[test]
    fn names_of_secrets_are_told_from_others() {
        for name in [
            "OPENAI_API_KEY",
            "HF_TOKEN",
            "db_password",
            "PGPASSWORD",
            "SECRET",
            "APIKEY",
            "AWS_SECRET_ACCESS_KEY",
        ] {
            assert!(looks_secret(name), "{name}");
        }
        for name in [
            "PORT",
            "MAX_TOKENS",
            "TOKENIZERS_PARALLELISM",
            "PASSWORD_FILE",
            "AWS_ACCESS_KEY_ID",
            "SSH_PUBLIC_KEY",
            "KEYBOARD",
            "MONKEY",
            "",
        ] {
            assert!(!looks_secret(name), "{name}");
        }
    }
}
