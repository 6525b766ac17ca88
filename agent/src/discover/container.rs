//! Which container a process runs in, and what that container is called.

mod engine;
mod known;

pub use engine::Engine;

/// Engines name containers by 32 random bytes in hexadecimal.
const ID_DIGITS: usize = 64;

/// The container id of process `pid`, 64 hex digits.
pub fn id(pid: u32) -> Option<String> {
    let read = |name: &str| std::fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap_or_default();
    from_cgroup(&read("cgroup")).or_else(|| from_mounts(&read("mountinfo")))
}

/// The id in `/proc/PID/cgroup`: `/docker/ID`, `/system.slice/docker-ID.scope`, `…/cri-containerd-ID.scope`,
/// `…/crio-ID.scope`, `…/libpod-ID.scope/container`, `/kubepods/…/podUID/ID`, with v1 and v2 alike. The innermost counts.
fn from_cgroup(cgroup: &str) -> Option<String> {
    cgroup.lines().find_map(|line| {
        let path = line.splitn(3, ':').nth(2)?;
        path.rsplit('/').find_map(|part| {
            let part = part.strip_suffix(".scope").unwrap_or(part);
            let id = part.rsplit(['-', ':']).next().unwrap_or(part);
            // CRI-O's monitor of a container is not in it.
            (is_id(id) && !part.contains("conmon")).then(|| id.to_owned())
        })
    })
}

/// With a private cgroup namespace the cgroup path says nothing; the files that engines mount into every container
/// still come from a folder named by the id.
fn from_mounts(mountinfo: &str) -> Option<String> {
    const INJECTED: [&str; 3] = ["/etc/hostname", "/etc/hosts", "/etc/resolv.conf"];
    mountinfo.lines().find_map(|line| {
        let mut fields = line.split(' ').skip(3);
        let root = fields.next()?;
        if !INJECTED.contains(&fields.next()?) {
            return None;
        }
        // The last id: a container inside a container has both in its path.
        root.rsplit('/').find(|part| is_id(part)).map(str::to_owned)
    })
}

fn is_id(text: &str) -> bool {
    text.len() == ID_DIGITS && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn cgroups_of_all_engines() {
        for path in [
            "12:memory:/docker/ID",
            "0::/system.slice/docker-ID.scope",
            "0::/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod1_2.slice/cri-containerd-ID.scope",
            "5:cpu:/kubepods/burstable/pod8c5e7e4c-31c1-4f4b-8d7f-000000000000/ID",
            "0::/kubepods.slice/kubepods-pod1.slice/crio-ID.scope",
            "0::/machine.slice/libpod-ID.scope/container",
            "0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-ID.scope",
            "0::/system.slice/containerd.service/kubepods-pod1.slice:cri-containerd:ID",
            "0::/../cri-containerd-ID.scope",
        ] {
            let cgroup = format!("11:pids:/init.scope\n{}\n", path.replace("ID", ID));
            assert_eq!(from_cgroup(&cgroup).as_deref(), Some(ID), "{path}");
        }
    }

    #[test]
    fn no_container() {
        for cgroup in [
            "0::/user.slice/user-1000.slice/session-1.scope\n",
            "0::/\n",
            "",
            &format!("0::/machine.slice/libpod-conmon-{ID}.scope\n"),
            &format!("0::/docker/{}\n", &ID[..40]),
        ] {
            assert_eq!(from_cgroup(cgroup), None, "{cgroup}");
        }
    }

    #[test]
    fn injected_files_tell_the_id_where_the_cgroup_does_not() {
        let mounts = format!(
            "600 599 0:30 / / rw - overlay overlay rw\n\
             601 600 8:1 /var/lib/docker/containers/{ID}/resolv.conf /etc/resolv.conf rw - ext4 /dev/sda1 rw\n"
        );
        assert_eq!(from_mounts(&mounts).as_deref(), Some(ID));
        let podman = format!(
            "601 600 0:25 /containers/storage/overlay-containers/{ID}/userdata/hostname /etc/hostname rw - tmpfs tmpfs rw\n"
        );
        assert_eq!(from_mounts(&podman).as_deref(), Some(ID));
        let host =
            format!("601 600 8:1 /var/lib/docker/containers/{ID}/x /mnt/backup rw - ext4 /dev/sda1 rw\n");
        assert_eq!(from_mounts(&host), None);
    }
}
