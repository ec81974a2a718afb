// SPDX-License-Identifier: GPL-2.0-only
/*
 * mounts - files mapped and open across mount points: a tmpfs in a tmpfs, a bind
 * mount, a detached mount, the host's folder; and a process in a chroot
 */
#include "scene.h"
#include <sys/mount.h>
#include <sys/stat.h>

static void folder(const char *path)
{
	if (mkdir(path, 0755) && errno != EEXIST)
		scene_die("make a folder");
}

static void mount_on(const char *path)
{
	folder(path);
	scene_check(!mount("scene", path, "tmpfs", 0, NULL), "mount a tmpfs");
}

/* Map a file and keep it open */
static void use(const char *path)
{
	scene_map(NULL, PAGE, PROT_READ, MAP_SHARED, scene_file(path, 1), 0);
}

static void use_existing(const char *path)
{
	int fd = open(path, O_RDONLY);

	if (fd >= 0)
		scene_map(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0);
}

static void in_chroot(void)
{
	folder("/tmp/mounts/outer/jail");
	folder("/tmp/mounts/outer/jail/inside");
	use("/tmp/mounts/outer/outside the jail");
	scene_check(!chroot("/tmp/mounts/outer/jail"), "change the root");
	scene_check(!chdir("/inside"), "change the folder");
	use("/inside/file");
	use("/at the top");
}

int main(void)
{
	int ready[2];
	char byte;

	folder("/tmp/mounts");
	mount_on("/tmp/mounts/outer");
	mount_on("/tmp/mounts/outer/inner");
	folder("/tmp/mounts/outer/inner/folder");
	use("/tmp/mounts/outer/file");
	use("/tmp/mounts/outer/inner/folder/file");

	folder("/tmp/mounts/bound");
	scene_check(!mount("/tmp/mounts/outer/inner/folder", "/tmp/mounts/bound", NULL, MS_BIND,
			   NULL), "bind a folder");
	use("/tmp/mounts/bound/file seen through a bind mount");

	mount_on("/tmp/mounts/hidden");
	use("/tmp/mounts/hidden/below another mount");
	mount_on("/tmp/mounts/hidden");

	mount_on("/tmp/mounts/gone");
	folder("/tmp/mounts/gone/folder");
	use("/tmp/mounts/gone/folder/file of a mount that is gone");
	scene_check(!umount2("/tmp/mounts/gone", MNT_DETACH), "take a mount away");

	use_existing("/mnt/host_share/file");
	use_existing("/proc/self/exe");
	scene_check(!chdir("/tmp/mounts/outer/inner"), "change the folder");

	scene_check(!pipe(ready), "make a pipe");
	if (!scene_fork("in a chroot")) {
		in_chroot();
		scene_check(write(ready[1], "", 1) == 1, "tell the parent");
		scene_sleep();
	}
	scene_check(read(ready[0], &byte, 1) == 1, "wait for the child");
	scene_ready();
	scene_sleep();
}
