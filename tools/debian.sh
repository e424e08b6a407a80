#!/usr/bin/env bash
# Packages of another release or architecture of Debian than the one that runs here, without a
# change to this machine's own apt. Sourced by fetch-tools and guest.

# The mirror is the one that this machine already uses, whatever its name.
debian_mirror() {
  # shellcheck disable=SC2016  # apt expands these, not the shell
  apt-get indextargets --format '$(ORIGIN)|$(COMPONENT)|$(LABEL)|$(REPO_URI)' \
    'Created-By: Packages' |
    awk -F '|' '$2 == "main" && $4 !~ /security/ && ($1 == "Debian" || $1 == "") {print $4; exit}'
}

# FOLDER deb|deb-src RELEASE [ARCHITECTURE]: makes an apt in FOLDER that knows only that, and gets
# its lists. Leaves in the array debian_apt the options that make apt-get and apt-cache use it; to
# it, nothing is installed. Says on stderr why it cannot, status 1.
debian_private_apt() {
  local folder=$1 type=$2 release=$3 architecture=${4:-} mirror
  local keyring=/usr/share/keyrings/debian-archive-keyring.gpg
  mirror=$(debian_mirror)
  [ -n "$mirror" ] || { echo "apt's sources name no Debian mirror" >&2; return 1; }
  [ -r "$keyring" ] || {
    echo "$keyring is missing: apt-get install debian-archive-keyring" >&2
    return 1
  }
  mkdir -p "$folder/lists/partial" "$folder/archives/partial"
  echo "$type [signed-by=$keyring] $mirror $release main" >"$folder/sources.list"
  : >"$folder/status"
  debian_apt=(-q -o "Dir::Etc::SourceList=$folder/sources.list" -o Dir::Etc::SourceParts=-
    -o "Dir::State::Lists=$folder/lists" -o "Dir::State::status=$folder/status"
    -o "Dir::Cache::Archives=$folder/archives" -o "Dir::Cache::PkgCache="
    -o "Dir::Cache::SrcPkgCache=" -o Acquire::Languages=none -o APT::Update::Error-Mode=any
    -o APT::Sandbox::User=root)
  if [ -n "$architecture" ]; then
    debian_apt+=(-o "APT::Architecture=$architecture" -o "APT::Architectures::=$architecture")
  fi
  apt-get "${debian_apt[@]}" update
}
