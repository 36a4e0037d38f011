use std::net::SocketAddr;

use super::builder::Checked;
use super::judge::{self, LoadTestCode};
use super::step::{attachment, measure};
use crate::load::Measurement;
use crate::model::{Finding, FindingCode as _, Location, Target};
use crate::policy::{Applies, Exception, Justification, Origin, Scope};
use crate::step::{Author, Claims, Context, Outcome, Seal, Step, StepError};

/// Measures a server that runs already. Its output is no gate: nobody knows which image or commit answered.
#[derive(Debug, Clone)]
pub struct LoadAgainst {
    pub(super) checked: Checked,
    pub(super) address: SocketAddr,
    pub(super) remote: Option<(Justification, Location)>,
}

impl Step for LoadAgainst {
    type Input = ();
    type Output = Measurement;

    fn run(&self, cx: &Context, (): ()) -> Result<Outcome<Measurement>, StepError> {
        let permission = self.permission(cx)?;
        let measurement = measure(cx, &self.checked, self.address)?;
        let (_, findings) = judge::judge(&self.checked, &measurement)?;
        let facts = judge::facts(&measurement);
        let mut outcome = Outcome::of(measurement).findings(findings);
        outcome.facts = facts;
        outcome.attachments = vec![attachment(cx)];
        if let Some((finding, exception)) = permission {
            outcome = outcome.findings([finding]).exceptions([exception]);
        }
        Ok(outcome)
    }

    fn author(&self, _: &Seal) -> Author {
        Author::Library
    }

    fn claims(&self) -> Claims {
        Claims::quiet_machine()
    }

    fn permissions(&self) -> Vec<Exception> {
        let remote = self.remote.clone();
        remote.into_iter().map(|(justification, location)| self.exception(justification, location)).collect()
    }
}

impl LoadAgainst {
    /// Load on another machine is shown as a finding, with the exception that allows it. One that has expired allows nothing, and
    /// that has to be known before the first request.
    fn permission(&self, cx: &Context) -> Result<Option<(Finding, Exception)>, StepError> {
        let Some((justification, location)) = self.remote.clone() else { return Ok(None) };
        let target = self.address.to_string();
        if justification.is_expired(cx.today()) {
            return Err(StepError::not_looked(
                format!("the permission to send load to {target} expired on {}", justification.expires),
                format!("ask {} for a new one", justification.owner),
            ));
        }
        let finding =
            Finding::new(LoadTestCode::Remote, format!("load was sent to {target}")).target(Target::name(&target));
        Ok(Some((finding, self.exception(justification, location))))
    }

    fn exception(&self, justification: Justification, location: Location) -> Exception {
        Exception {
            id: LoadTestCode::Remote.code().to_string(),
            scope: Scope::target(Target::name(self.address.to_string())),
            justification,
            origin: Origin::Pipeline,
            location,
            applies: Applies::Here,
        }
    }
}
