//! Which runs of a push go live together.
//!
//! In: the runs of a push, and `[releases]` of the configuration. Out: for each release of which the push
//! touches several modules, what its runs need to know of each other.

use ferry_config::Config;
use ferry_events::{
    PushId,
    joint::{Joint, Member},
    push::RunOf,
};

/// The releases that a push begins. One module alone is none: it goes by itself.
pub(super) fn of(config: &Config, push: PushId, runs: &[RunOf]) -> Vec<Joint> {
    let releases = config.releases.iter();
    let joints = releases.map(|(name, release)| {
        let touched = |module: &str| runs.iter().find(|run| run.module == module);
        let members = release.modules.iter().filter_map(|(module, member)| {
            let run = touched(module)?;
            let environments = config.environments_of_module(module).into_iter();
            let after = member.after.iter();
            Some(Member {
                run: run.run,
                module: module.clone(),
                after: after
                    .filter(|name| touched(name).is_some())
                    .cloned()
                    .collect(),
                environments: environments.map(str::to_owned).collect(),
            })
        });
        let members: Vec<Member> = members.collect();
        let goes = |name: &&str| {
            let mut all = members.iter().flat_map(|member| &member.environments);
            all.any(|environment| environment == name)
        };
        let environments = config.environments_in_order().into_iter().filter(goes);
        Joint {
            id: Joint::id_of(push, name),
            name: name.clone(),
            environments: environments.map(str::to_owned).collect(),
            wait_ms: u64::try_from(release.wait.as_millis()).unwrap_or(u64::MAX),
            members,
        }
    });
    joints.filter(|joint| joint.members.len() > 1).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferry_events::RunId;

    fn config() -> Config {
        let text = r#"
            [modules.cart]
            repository = "shop"
            pools = ["prod"]
            [modules.prices]
            repository = "shop"
            [modules.web]
            repository = "shop"
            [environments.pre]
            [environments.prod]
            after = "pre"
            [pools.pre]
            environment = "pre"
            bases = [{ name = "a", arklet = "http://a", url = "http://a" }]
            [pools.prod]
            environment = "prod"
            bases = [{ name = "b", arklet = "http://b", url = "http://b" }]
            [releases.shop]
            wait = "2h"
            modules = { cart = { after = ["prices", "web"] }, prices = {}, web = {} }
        "#;
        toml::from_str(text).expect("a configuration")
    }

    fn runs(modules: &[&str]) -> Vec<RunOf> {
        let run = |module: &&str| RunOf {
            run: RunId::of("shop", "main", 1, module),
            module: (*module).to_owned(),
        };
        modules.iter().map(run).collect()
    }

    #[test]
    fn a_push_of_several_modules_of_a_release_is_one() {
        let push = PushId::of("github", "shop", "a", "main");
        let runs = runs(&["cart", "other", "prices"]);
        let joints = of(&config(), push, &runs);
        let [joint] = joints.as_slice() else {
            panic!("{joints:?}");
        };
        assert_eq!(joint.id, Joint::id_of(push, "shop"));
        assert_eq!((joint.name.as_str(), joint.wait_ms), ("shop", 7_200_000));
        assert_eq!(joint.environments, ["pre", "prod"]);
        let cart = joint.member(runs[0].run).expect("a member");
        assert_eq!(cart.after, ["prices"], "of those that the push touches");
        assert_eq!(cart.environments, ["prod"]);
        assert!(joint.member(runs[1].run).is_none());
        let in_pre: Vec<&str> = joint.modules_in("pre").collect();
        assert_eq!(in_pre, ["prices"]);
    }

    #[test]
    fn one_module_of_a_release_goes_by_itself() {
        let push = PushId::of("github", "shop", "a", "main");
        assert!(of(&config(), push, &runs(&["cart", "other"])).is_empty());
        assert!(of(&config(), push, &[]).is_empty());
    }
}
