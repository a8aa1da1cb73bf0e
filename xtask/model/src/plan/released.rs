//! Which image an agent's container is made from: the content that a pointer
//! stands for.
//!
//! A pointer is only read for the hash in the label of its image; what runs is
//! what has the tag of that hash. So a container says which content it runs,
//! whatever becomes of the pointer.

use super::{
    label,
    names::{content_tag, pointer_tag},
    refusal::PlanError,
    state::{Container, ObservedImage, State},
};
use crate::system::{Agent, System};

/// An image that containers can be made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Released {
    /// The tag of its content, or its id if it has none.
    pub tag: String,
    pub id: String,
}

/// What the pointer of an image stands for; `None` if that has not been built.
///
/// # Errors
/// If the image of that name is not the system's.
pub fn released(
    system: &System,
    state: &State,
    image: &str,
) -> Result<Option<Released>, PlanError> {
    let pointer = pointer_tag(system, image);
    let Some(found) = state.images.get(&pointer) else {
        return Ok(None);
    };
    owned(system, &pointer, found)?;
    let Some(inputs) = found.labels.get(label::INPUTS) else {
        return Ok(None);
    };
    let tag = content_tag(system, image, inputs);
    let Some(found) = state.images.get(&tag) else {
        return Ok(None);
    };
    owned(system, &tag, found)?;
    // A tag that somebody has moved is built anew.
    let true_to_its_tag = found.labels.get(label::INPUTS) == Some(inputs);
    Ok(true_to_its_tag.then(|| Released {
        tag,
        id: found.id.clone(),
    }))
}

/// What an agent's container is made from: what `kept` was, if there is one that
/// stays with its image, else what has been released.
///
/// # Errors
/// If nothing has been built, or the image is not the system's.
pub fn of_agent(
    system: &System,
    state: &State,
    agent: &Agent,
    kept: Option<&Container>,
) -> Result<Released, PlanError> {
    if let Some(container) = kept {
        return Ok(made_from(system, state, container));
    }
    released(system, state, &agent.image)?.ok_or_else(|| PlanError::ImageMissing {
        agent: agent.name.clone(),
        image: agent.image.clone(),
    })
}

/// The image that a container was made from.
pub fn made_from(system: &System, state: &State, container: &Container) -> Released {
    let same = |tag: &&String| {
        state
            .images
            .get(*tag)
            .is_some_and(|image| image.id == container.image_id)
    };
    let namespace = super::names::namespace(system);
    let content = |tag: &&String| {
        let name = tag
            .strip_prefix(&namespace)
            .and_then(|rest| rest.split_once(':'));
        name.is_some_and(|(_, tag)| tag != "latest" && tag != "test")
    };
    let created_from = Some(&container.image).filter(same);
    let tag = created_from.or_else(|| state.images.keys().filter(content).find(same));
    Released {
        tag: tag.unwrap_or(&container.image_id).clone(),
        id: container.image_id.clone(),
    }
}

/// An image under one of our names that another system, or nobody that we know,
/// has made.
///
/// # Errors
/// With its tag and its owner.
pub fn owned(system: &System, tag: &str, image: &ObservedImage) -> Result<(), PlanError> {
    let owner = image.labels.get(label::SYSTEM);
    let ours = owner == Some(&system.image_owner) && image.labels.contains_key(label::INPUTS);
    match ours {
        true => Ok(()),
        false => Err(PlanError::ImageTaken {
            image: tag.to_owned(),
            owner: owner.filter(|owner| **owner != system.image_owner).cloned(),
            system: system.image_owner.clone(),
        }),
    }
}
