use std::collections::BTreeSet;

use super::Pipeline;
use crate::formats::closest;
use crate::policy::{InvalidJustification, check_reason};

/// Why a step was not run that `--only` does not name, and nothing that it names needs.
pub const NOT_SELECTED: &str = "not selected";

/// Which steps of a pipeline to run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selection {
    /// Only these and what they need; everything when empty.
    pub only: Vec<String>,
    /// Not these, nor what needs them.
    pub skip: Vec<String>,
    /// Why steps are skipped.
    pub because: Option<String>,
    /// The effects that are asked for, by name.
    pub effects: Vec<String>,
}

/// A selection that does not fit the pipeline.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SelectionError {
    /// No step of that name.
    #[error("there is no step {name:?}{}; the steps are {}", suggestion(nearest), all.join(", "))]
    UnknownStep {
        /// What was asked for.
        name: String,
        /// The step with the most similar name.
        nearest: Option<String>,
        /// Every step.
        all: Vec<String>,
    },
    /// No effect of that name.
    #[error("there is no effect {name:?} in this pipeline; it has {}", if all.is_empty() { "none".to_owned() } else { all.join(", ") })]
    UnknownEffect {
        /// What was asked for.
        name: String,
        /// Every effect.
        all: Vec<String>,
    },
    /// An effect was asked for that would not happen.
    #[error("the effect {effect:?} was asked for, but {step} would not run: {why}; drop one of the two")]
    EffectLeftOut {
        /// What was asked for.
        effect: String,
        /// The step that has it.
        step: String,
        /// What keeps it from running.
        why: String,
    },
    /// Steps are skipped without a reason.
    #[error("--skip needs --because \"…\" with a reason that a reviewer can judge: {0}")]
    NoReason(InvalidJustification),
    /// A step is both wanted and not wanted.
    #[error("step {0:?} is in both --only and --skip; drop one")]
    Both(String),
}

fn suggestion(nearest: &Option<String>) -> String {
    nearest.as_ref().map_or_else(String::new, |name| format!(", did you mean {name:?}?"))
}

impl Selection {
    /// Why each step is left out; `None` where it is to run.
    ///
    /// # Errors
    /// Names that are not in the pipeline, a skip without a reason, a step both wanted and not, and an effect that is asked for and
    /// would not happen: a run that leaves out what it was started for is not green.
    pub fn resolve(&self, pipeline: &Pipeline) -> Result<Vec<Option<String>>, SelectionError> {
        let only = self.indices(pipeline, &self.only)?;
        let skip = self.indices(pipeline, &self.skip)?;
        if let Some(&both) = only.intersection(&skip).next() {
            return Err(SelectionError::Both(pipeline.nodes[both].name.to_string()));
        }
        let because = self.because.as_deref().unwrap_or_default();
        if !skip.is_empty() {
            check_reason(because).map_err(SelectionError::NoReason)?;
        }
        let effects: BTreeSet<_> = pipeline.nodes.iter().filter_map(|node| node.effect.name()).collect();
        if let Some(name) = self.effects.iter().find(|name| !effects.contains(name.as_str())) {
            return Err(SelectionError::UnknownEffect {
                name: name.clone(),
                all: effects.iter().map(ToString::to_string).collect(),
            });
        }
        let wanted: BTreeSet<usize> =
            only.iter().flat_map(|&index| pipeline.ancestors(index).into_iter().chain([index])).collect();
        let mut reasons: Vec<Option<String>> = Vec::new();
        for (index, node) in pipeline.nodes.iter().enumerate() {
            let left_out =
                node.needs.iter().find(|&&need| reasons[need].is_some()).map(|&need| &pipeline.nodes[need].name);
            let effect = node.effect.name().filter(|name| !self.effects.iter().any(|asked| asked == name));
            reasons.push(if skip.contains(&index) {
                Some(format!("skipped because {because}"))
            } else if !only.is_empty() && !wanted.contains(&index) {
                Some(NOT_SELECTED.to_owned())
            } else if let Some(effect) = effect {
                Some(format!("not asked for: add `--effect {effect}`"))
            } else {
                left_out.map(|name| format!("needs {name}, which is left out"))
            });
        }
        let chosen = |index: usize| skip.contains(&index) || !(only.is_empty() || wanted.contains(&index));
        match self.effects.iter().find_map(|effect| left_out(pipeline, effect, &reasons, chosen)) {
            Some(error) => Err(error),
            None => Ok(reasons),
        }
    }

    fn indices(&self, pipeline: &Pipeline, names: &[String]) -> Result<BTreeSet<usize>, SelectionError> {
        names
            .iter()
            .map(|name| {
                pipeline.nodes.iter().position(|node| node.name.as_str() == name).ok_or_else(|| {
                    let all: Vec<String> = pipeline.nodes.iter().map(|node| node.name.to_string()).collect();
                    let nearest = closest(name, all.iter().map(String::as_str)).map(str::to_owned);
                    SelectionError::UnknownStep { name: name.clone(), nearest, all }
                })
            })
            .collect()
    }
}

/// What keeps an effect from happening. Of several steps that have it, one may be left out by name as long as another runs.
fn left_out(
    pipeline: &Pipeline,
    effect: &str,
    reasons: &[Option<String>],
    chosen: impl Fn(usize) -> bool,
) -> Option<SelectionError> {
    let has_it = |index: &usize| pipeline.nodes[*index].effect.name() == Some(effect);
    let steps: Vec<usize> = (0..reasons.len()).filter(has_it).collect();
    let none_runs = steps.iter().all(|&step| reasons[step].is_some());
    let lost = |step: &&usize| reasons[**step].is_some() && (none_runs || !chosen(**step));
    let &step = steps.iter().find(lost)?;
    // The first of what it needs is left out for a reason of its own.
    let needed = pipeline.ancestors(step).into_iter().find_map(|need| Some((need, reasons[need].as_ref()?)));
    let why = match (needed, &reasons[step]) {
        (Some((need, why)), _) if !chosen(step) => format!("it needs {}, which is {why}", pipeline.nodes[need].name),
        (_, why) => why.clone().unwrap_or_default(),
    };
    let step = pipeline.nodes[step].name.to_string();
    Some(SelectionError::EffectLeftOut { effect: effect.to_owned(), step, why })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::step::{Outcome, step_fn};

    fn chain() -> Pipeline {
        let mut ci = Pipeline::new("chain");
        let one = ci.add("compile", step_fn(|_, ()| Ok(Outcome::of(1_u32))), ());
        let two = ci.add("scan", step_fn(|_, _: u32| Ok(Outcome::of(2_u32))), &one);
        ci.add("report", step_fn(|_, _: u32| Ok(Outcome::of(()))), &two);
        ci.add("lint", step_fn(|_, ()| Ok(Outcome::of(()))), ());
        ci
    }

    fn select(only: &[&str], skip: &[&str], because: Option<&str>) -> Result<Vec<Option<String>>, SelectionError> {
        let owned = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        Selection { only: owned(only), skip: owned(skip), because: because.map(str::to_owned), effects: Vec::new() }
            .resolve(&chain())
    }

    #[test]
    fn only_takes_what_is_needed_along() {
        let runs: Vec<bool> = select(&["scan"], &[], None).expect("known").iter().map(Option::is_none).collect();
        assert_eq!(runs, [true, true, false, false]);
    }

    #[test]
    fn a_skip_reaches_what_needs_it_and_says_why() {
        let reasons = select(&[], &["scan"], Some("the scanner's host is being moved today")).expect("known");
        assert_eq!(reasons[1].as_deref(), Some("skipped because the scanner's host is being moved today"));
        assert_eq!(reasons[2].as_deref(), Some("needs scan, which is left out"));
        assert_eq!(reasons[3], None);
    }

    #[test]
    fn a_skip_without_a_reason_and_unknown_names_are_refused() {
        assert!(matches!(select(&[], &["scan"], None), Err(SelectionError::NoReason(_))));
        let error = select(&["scna"], &[], None).expect_err("a typo");
        assert!(error.to_string().contains("did you mean \"scan\"?"), "{error}");
        assert!(matches!(
            select(&["scan"], &["scan"], Some("because it is being tested now")),
            Err(SelectionError::Both(_))
        ));
    }

    /// Two images, two pushes of them, and what follows one of these.
    fn shipping() -> Pipeline {
        let mut ci = Pipeline::new("shipping");
        let one = ci.add("one", step_fn(|_, ()| Ok(Outcome::of(1_u32))), ());
        let other = ci.add("other", step_fn(|_, ()| Ok(Outcome::of(1_u32))), ());
        let between = ci.add("between", step_fn(|_, _: u32| Ok(Outcome::of(1_u32))), &one);
        let pushed = ci.add("push-one", step_fn(|_, _: u32| Ok(Outcome::of(()))).effect("push"), &between);
        ci.add("push-other", step_fn(|_, _: u32| Ok(Outcome::of(()))).effect("push"), &other);
        let told = ci.add("told", step_fn(|_, ()| Ok(Outcome::of(()))), ());
        ci.after(&told, &pushed);
        let deploy = ci.add("deploy", step_fn(|_, ()| Ok(Outcome::of(()))).effect("deploy"), ());
        ci.after(&deploy, &told);
        ci
    }

    #[test]
    fn an_effect_that_is_asked_for_happens_or_nothing_runs() {
        let resolve = |only: &[&str], skip: &[&str], effects: &[&str]| {
            let owned = |names: &[&str]| names.iter().map(ToString::to_string).collect();
            let because = Some("the scanner's host is being moved today".to_owned());
            Selection { only: owned(only), skip: owned(skip), because, effects: owned(effects) }.resolve(&shipping())
        };
        type Names = &'static [&'static str];
        let refused: &[(Names, Names, Names, &str)] = &[
            (&[], &["one"], &["push"], "push-one would not run: it needs one, which is skipped because the scanner's"),
            (&[], &["between"], &["push"], "it needs between, which is skipped"),
            (&["one"], &[], &["push"], "push-one would not run: not selected"),
            (&["other"], &["one"], &["push"], "push-one would not run: not selected"),
            (&[], &["push-one", "push-other"], &["push"], "push-one would not run: skipped because"),
            (&["push-one"], &["between"], &["push"], "it needs between, which is skipped"),
            // What it follows, at any distance, has an effect that nobody asked for.
            (
                &[],
                &[],
                &["deploy"],
                "deploy would not run: it needs push-one, which is not asked for: add `--effect push`",
            ),
            (&["push-one"], &[], &["push", "deploy"], "deploy would not run: not selected"),
        ];
        for (only, skip, effects, words) in refused {
            let error = resolve(only, skip, effects).expect_err(words).to_string();
            assert!(error.contains(words), "{error}");
        }
        let allowed: &[(&[&str], &[&str], &[&str])] = &[
            (&[], &[], &["push"]),
            (&[], &[], &["push", "deploy"]),
            (&["push-one"], &[], &["push"]),
            (&[], &["push-other"], &["push", "deploy"]),
            (&[], &["one"], &[]),
        ];
        for (only, skip, effects) in allowed {
            assert!(resolve(only, skip, effects).is_ok(), "{only:?} {skip:?} {effects:?}");
        }
    }
}
