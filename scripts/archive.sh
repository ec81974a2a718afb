# shellcheck shell=bash
# Reads suites of Debian's archive that this machine's apt does not know: `. "$ROOT/scripts/archive.sh"`.
#
# The archive is the one this machine's apt already uses; apt's own configuration and lists are neither changed nor
# needed. Works without root.

# archive_sites: the archive's addresses, one per line
archive_sites() {
	# shellcheck disable=SC2016 # $(SITE) is apt's own notation
	apt-get indextargets --format '$(SITE)' 'Created-By: Packages' | awk '/^https?:/ && !/security/ && !seen[$0]++'
}

# make_private_apt FOLDER: set up private_apt, with its lists in FOLDER
make_private_apt() {
	private=$1
	mkdir -p -- "$private/lists/partial" "$private/cache/archives/partial"
	# Read after the machine's own configuration, so that proxies and credentials stay as they are.
	cat >"$private/apt.conf" <<-END
		Dir::Etc::SourceList "$private/sources.list";
		Dir::Etc::SourceParts "/dev/null";
		Dir::State::Lists "$private/lists";
		Dir::Cache "$private/cache";
		APT::Sandbox::User "";
		Acquire::Languages "none";
		Acquire::http::Timeout "10";
		Acquire::https::Timeout "10";
		#clear APT::Update::Pre-Invoke;
		#clear APT::Update::Post-Invoke;
		#clear APT::Update::Post-Invoke-Success;
	END
}

# private_apt ARGUMENT...: run apt-get with that configuration
private_apt() {
	apt-get -c "$private/apt.conf" "$@"
}

# read_suite deb|deb-src SITE SUITE: fetch the suite's signed index for private_apt
read_suite() {
	echo "$1 [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $2 $3 main" >"$private/sources.list"
	private_apt -qq update
}
