//! The fence: whether a task's plan is the one in force.
//!
//! In: a task. Out: yes or no, from the bus's leader. While the bus is silent nobody may change a base,
//! so this waits; the runtime ends the work when its claim is lost meanwhile.

use std::time::Duration;

use ferry_bus::BusError;
use ferry_events::{PlanId, Service, fact::ActivePlan, subject};
use ferry_runtime::{Hands, Key, Stored};
use tracing::warn;
use uuid::Uuid;

use crate::decide::Base;

/// Between two attempts at a silent bus.
const PAUSE: Duration = Duration::from_millis(250);

/// Whether the plan is in force. Only equality counts; no plan in force is another plan.
///
/// # Errors
/// When the bus does not answer.
pub(super) async fn in_force(
    hands: &Hands,
    module: &str,
    environment: &str,
    plan: &PlanId,
) -> Result<bool, BusError> {
    let Some(record) = hands
        .fence(&subject::plan_fact(module, environment))
        .await?
    else {
        return Ok(false);
    };
    let fact: ActivePlan = serde_json::from_slice(&record.payload).map_err(|error| {
        BusError::Damaged(format!("the plan of {module} in {environment}: {error}"))
    })?;
    Ok(fact.plan.as_ref() == Some(plan))
}

/// The committed record of a base; none: it was never heard of.
///
/// # Errors
/// When the bus does not answer.
pub(super) async fn record(hands: &Hands, base: &str) -> Result<Option<Base>, BusError> {
    let key = Key::new("base", &[base]);
    let subject = subject::state(Service::Installer, key.as_str());
    let Some(record) = hands.fence(&subject).await? else {
        return Ok(None);
    };
    let stored: Stored<Base> = serde_json::from_slice(&record.payload)
        .map_err(|error| BusError::Damaged(format!("the record of base {base}: {error}")))?;
    Ok(Some(stored.state))
}

/// The same, waiting for a bus that is silent: nothing is asked of anybody without the record.
pub(super) async fn wait_record(hands: &Hands, base: &str) -> Option<Base> {
    loop {
        match record(hands, base).await {
            Ok(record) => return record,
            Err(error) => {
                warn!(base, %error, "waiting for the bus: nothing is done without the record");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Whether a request is the change that is being made on a base, as the committed record says.
///
/// # Errors
/// When the bus does not answer.
pub(super) async fn in_hand(hands: &Hands, base: &str, request: Uuid) -> Result<bool, BusError> {
    let base = record(hands, base).await?;
    Ok(base.is_some_and(|base| base.is_in_hand(request)))
}

/// Whether the plan is in force, waiting for a bus that is silent.
pub(super) async fn wait_in_force(
    hands: &Hands,
    module: &str,
    environment: &str,
    plan: &PlanId,
) -> bool {
    loop {
        match in_force(hands, module, environment, plan).await {
            Ok(answer) => return answer,
            Err(error) => {
                warn!(module, environment, %error, "waiting for the bus: no change without the plan in force");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}
