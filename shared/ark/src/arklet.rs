//! Arklet's protocol, 2.1.3 and 2.1.6 as observed. Goes in: what to ask, and
//! the bytes of a reply. Comes out: JSON bodies to POST, and replies that are
//! read leniently: a field of another type counts as absent, a field that is
//! not known is skipped, only a reply without a `code` is no reply. Source:
//! `com.alipay.sofa.koupleless.arklet.core` (`command`, `api.model`).

mod cause;
mod record;
mod reply;
mod request;

pub use cause::{REASON_MAX_CHARS, root_cause};
pub use record::{ProcessRecord, RecordOutcome, RecordStatus};
pub use reply::{
    BizCode, BizHealth, BizInfo, BizReply, Health, Metaspace, Reply, ReplyCode, ReplyError,
    SupportedCommand,
};
pub use request::{
    Command, HealthQuery, Help, InstallBiz, InstallStrategy, QueryAllBiz, QueryBizOps, Request,
    SwitchBiz, UninstallBiz,
};
