//! The programs of the fentry tier.

use aya::{
    Btf, Ebpf,
    programs::{FEntry, FExit, Program, ProgramError},
};

use super::{AttachError, btf::KERNEL_BTF, functions::Function, load::program_refused};

/// Hooks the functions.
///
/// # Errors
/// When the kernel does not publish its types, or refuses a program.
pub(super) fn attach(ebpf: &mut Ebpf, functions: &[&Function], copies: usize) -> Result<(), AttachError> {
    let btf = Btf::from_sys_fs().map_err(|source| AttachError::NoKernelTypes {
        path: KERNEL_BTF,
        source: Box::new(source),
    })?;
    functions
        .iter()
        .try_for_each(|function| hook(ebpf, function, copies, &btf))
}

/// The exits first: an entry without its exit would stay in the map of calls.
fn hook(ebpf: &mut Ebpf, function: &Function, copies: usize, btf: &Btf) -> Result<(), AttachError> {
    for &name in function.fexit.iter().flatten().take(copies) {
        let program: &mut FExit = program(ebpf, name)?;
        program
            .load(function.name, btf)
            .and_then(|()| program.attach())
            .map_err(|source| program_refused(name, source))?;
    }
    for &name in function.fentry.iter().take(copies) {
        let program: &mut FEntry = program(ebpf, name)?;
        program
            .load(function.name, btf)
            .and_then(|()| program.attach())
            .map_err(|source| program_refused(name, source))?;
    }
    Ok(())
}

fn program<'a, P>(ebpf: &'a mut Ebpf, name: &'static str) -> Result<&'a mut P, AttachError>
where
    &'a mut P: TryFrom<&'a mut Program, Error = ProgramError>,
{
    let program = ebpf.program_mut(name).ok_or(AttachError::Missing { name })?;
    program.try_into().map_err(|source| program_refused(name, source))
}
