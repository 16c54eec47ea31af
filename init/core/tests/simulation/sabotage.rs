//! Ways to break the supervisor: what the simulation must not let pass.

use init_core::event::{Action, Event};
use init_core::supervisor::Loaded;

/// One way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Sabotage {
    /// The supervisor as it is.
    None,
    LoseKill,
    LoseRemove,
    LoseReply,
    RepeatReply,
    LoseSpawn,
    ReverseActions,
    LoseFinish,
    RepeatSpawn,
    MissExits,
    MissEmptyTrees,
    MissDeadlines,
    MissShutdown,
    ForgetRequirements,
    ForgetSoftOrder,
    ForgetConflicts,
}

impl Sabotage {
    pub(crate) const ALL: [Self; 15] = [
        Self::LoseKill,
        Self::LoseRemove,
        Self::LoseReply,
        Self::RepeatReply,
        Self::LoseSpawn,
        Self::ReverseActions,
        Self::LoseFinish,
        Self::RepeatSpawn,
        Self::MissExits,
        Self::MissEmptyTrees,
        Self::MissDeadlines,
        Self::MissShutdown,
        Self::ForgetRequirements,
        Self::ForgetSoftOrder,
        Self::ForgetConflicts,
    ];

    /// The services that the supervisor is told of.
    pub(crate) fn services(self, services: &[Loaded]) -> Vec<Loaded> {
        let mut services = services.to_vec();
        if self == Self::None {
            return services;
        }
        for service in &mut services {
            let Some(mut description) = service.description() else { continue };
            match self {
                Self::ForgetRequirements => description.requires = Box::default(),
                Self::ForgetSoftOrder => {
                    description.wants = Box::default();
                    description.after = Box::default();
                }
                Self::ForgetConflicts => description.conflicts = Box::default(),
                _ => {}
            }
            *service = description.into();
        }
        services
    }

    /// The event as the supervisor gets to know it.
    pub(crate) fn event(self, event: Event) -> Option<Event> {
        let lost = match self {
            Self::MissExits => matches!(event, Event::Exited { .. }),
            Self::MissEmptyTrees => matches!(event, Event::TreeEmpty { .. }),
            Self::MissDeadlines => event == Event::Tick,
            Self::MissShutdown => matches!(event, Event::Shutdown { .. }),
            _ => false,
        };
        (!lost).then_some(event)
    }

    /// The actions as they reach the edge.
    pub(crate) fn actions(self, actions: &mut Vec<Action>) {
        match self {
            Self::LoseKill => actions.retain(|one| !matches!(one, Action::KillTree { .. })),
            Self::LoseRemove => actions.retain(|one| !matches!(one, Action::RemoveTree { .. })),
            Self::LoseReply => actions.retain(|one| !matches!(one, Action::Reply { .. })),
            Self::LoseSpawn => actions.retain(|one| !matches!(one, Action::Spawn { .. })),
            Self::LoseFinish => actions.retain(|one| !matches!(one, Action::Finish { .. })),
            Self::ReverseActions => actions.reverse(),
            Self::RepeatReply | Self::RepeatSpawn => {
                let repeated = |one: &&Action| match self {
                    Self::RepeatReply => matches!(one, Action::Reply { .. }),
                    _ => matches!(one, Action::Spawn { .. }),
                };
                let again: Vec<Action> = actions.iter().filter(repeated).cloned().collect();
                actions.extend(again);
            }
            _ => {}
        }
    }
}
