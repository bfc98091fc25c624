//! The running system as the engine asks it.

use std::time::Duration;

use hostward_checks::effect::{KernelSetting, NftTable, RemoteCall, UnitAction};

use super::{deadline, kernel, manager, validate, verify};
use crate::apply::Services;
use crate::transaction::{Manifest, UnitWas};

/// The live host: its systemd, its sshd, its firewall, and the ECS endpoint.
#[derive(Clone, Copy, Debug, Default)]
pub struct LiveServices;

impl Services for LiveServices {
    fn unit_state(&mut self, unit: &str) -> anyhow::Result<UnitWas> {
        manager::was(unit)
    }

    fn validate(&mut self, manifest: &Manifest) -> anyhow::Result<()> {
        validate::validate(manifest)
    }

    fn act(&mut self, action: &UnitAction) -> anyhow::Result<()> {
        manager::act(action)
    }

    fn undo(&mut self, action: &UnitAction, was: &UnitWas) -> anyhow::Result<()> {
        manager::undo(action, was)
    }

    fn table(&mut self, table: &NftTable) -> anyhow::Result<()> {
        crate::firewall::put(table)
    }

    fn kernel(&mut self, setting: &KernelSetting) -> anyhow::Result<()> {
        kernel::set(setting)
    }

    fn call(&mut self, call: &RemoteCall) -> anyhow::Result<()> {
        crate::openapi::modify(call)
    }

    fn verify(&mut self, manifest: &Manifest) -> anyhow::Result<()> {
        verify::verify(manifest)
    }

    fn arm(&mut self, manifest: &Manifest, within: Duration) -> anyhow::Result<()> {
        deadline::arm(&manifest.id, within)
    }
}
