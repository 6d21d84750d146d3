# Shared by the scripts; sourced, never run. Sets root and the helpers below.
# shellcheck shell=bash

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
cache=$root/.cache
MODE=${MODE:-release}
# shellcheck disable=SC2034 # used by the scripts that source this
build=$root/build/$MODE
jobs=$(nproc)

if [[ -t 1 && -z ${NO_COLOR:-} ]]; then
	bold=$'\e[1m' dim=$'\e[2m' red=$'\e[31m' green=$'\e[32m' plain=$'\e[0m'
else
	bold='' dim='' red='' green='' plain=''
fi

# A step people see while they wait.
say() { printf '%s==>%s %s\n' "$bold" "$plain" "$*"; }
note() { printf '    %s%s%s\n' "$dim" "$*" "$plain"; }
good() { printf '%s%s%s\n' "$green" "$*" "$plain"; }
die() {
	printf '%s%s: %s%s\n' "$red" "${0##*/}" "$*" "$plain" >&2
	exit 1
}

# Shows what stands at the head of the script and ends, if the arguments ask for help.
help_if_asked() {
	local argument
	for argument; do
		case $argument in -h | --help)
			sed -n '2,/^set/s/^# \{0,1\}//p' "$0"
			exit 0
			;;
		esac
	done
}

# known WHAT CHOICES ARGUMENT...: dies at the first argument that is none of the choices.
known() {
	local what=$1 choices=" $2 " argument
	shift 2
	for argument; do
		[[ -n $argument && $choices == *" $argument "* ]] || die "unknown $what $argument"
	done
}

# The option's value in "$2", or die.
value_of() { [[ $# -ge 2 && -n $2 ]] || die "$1 wants a value"; }

# Says the text and waits until Ctrl-C or SIGTERM, then runs the command. (A background
# sleep does not get the terminal's Ctrl-C, so we end it.)
stay_until_signal() {
	local command=$1 sleeper
	sleep infinity &
	sleeper=$!
	# shellcheck disable=SC2064 # the process is known now
	trap "kill $sleeper; wait $sleeper 2>/dev/null || true; $command" INT TERM
	printf '%s\n' "$2"
	while :; do wait "$sleeper" || true; done
}

# Packages named in the given lists that are not installed. Node and npm count as
# installed when others than Debian's are in PATH and new enough.
packages_missing() {
	local name status
	for name in $(sed 's/#.*//' "$@"); do
		case $name in
		nodejs) node_fits && continue ;;
		npm) command -v npm >/dev/null && continue ;;
		esac
		status=$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null || true)
		[[ $status == installed ]] || printf '%s\n' "$name"
	done
}

node_fits() {
	command -v node >/dev/null &&
		node -e 'process.exit(+process.versions.node.split(".")[0] < 18 ? 1 : 0)'
}

install_packages() {
	local missing sudo=()
	mapfile -t missing < <(packages_missing "$@")
	((${#missing[@]})) || return 0
	command -v apt-get >/dev/null ||
		die "missing: ${missing[*]}. There is no apt-get here: install them as your system does"
	if ((EUID != 0)); then
		command -v sudo >/dev/null || die "as root: apt-get install ${missing[*]}"
		sudo=(sudo)
	fi
	say "Installing ${#missing[@]} Debian packages: ${missing[*]}"
	mkdir -p "$cache"
	local log=$cache/apt.log apt=("${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get)
	"${apt[@]}" update -qq
	local total
	total=$("${apt[@]}" install -s --no-install-recommends "${missing[@]}" 2>/dev/null | grep -c '^Inst') || true
	if ! "${apt[@]}" install -q -y --no-install-recommends -o Dpkg::Use-Pty=0 "${missing[@]}" 2>&1 |
		tee "$log" | apt_progress "$total"; then
		tail -n 15 "$log" >&2
		die "apt-get could not install them; all it said is in ${log#"$root"/}"
	fi
}

# What apt-get says, condensed: one line that changes on a terminal, else one each 50.
apt_progress() {
	local tty=0
	[[ -t 1 ]] && tty=1
	awk -v total="$1" -v tty="$tty" '
		function tell(what, n, name) {
			if (tty) printf "\r    %s %d of %d %-40.40s", what, n, total, name
			else if (n % 50 == 1) printf "    %s %d of %d\n", what, n, total
			fflush()
		}
		/^Get:/ { tell("fetching", ++fetched, $5) }
		/^Unpacking / { tell("unpacking", ++unpacked, $2) }
		/^Setting up / { tell("setting up", ++set, $3) }
		END { if (tty) printf "\r%78s\r", "" }'
}

# True if the stamp does not say that this was done for these files as they are.
# stamp NAME FILE...; stamped NAME writes it afterwards.
stale() {
	local name=$1
	shift
	stamp_sum=$(cat -- "$@" | sha256sum | cut -c1-32)
	[[ $(cat "$cache/stamps/$name" 2>/dev/null) != "$stamp_sum" ]]
}
stamped() {
	mkdir -p "$cache/stamps"
	printf '%s\n' "$stamp_sum" >"$cache/stamps/$1"
}

# npm's packages of a folder, exactly as locked.
install_npm() {
	local folder=$1 name=npm-${1//\//-}
	if stale "$name" "$root/$folder/package-lock.json" || [[ ! -d $root/$folder/node_modules ]]; then
		say "Installing npm packages of $folder"
		(cd "$root/$folder" && npm ci --no-audit --no-fund --no-update-notifier --loglevel=error)
		stamped "$name"
	fi
}

build_page() {
	local files
	mapfile -t files < <(find "$root/webui/app" \( -name node_modules -o -name dist \) -prune -o -type f -print | sort)
	if stale page "${files[@]}" || [[ ! -f $root/webui/app/dist/index.html ]]; then
		install_npm webui/app
		say "Building the page"
		(cd "$root/webui/app" && npm run --silent build)
		stamped page
	fi
}

# build_programs TARGET...: in MODE, with what make said only if it failed.
build_programs() {
	local log
	if make -C "$root" -q MODE="$MODE" "$@" >/dev/null 2>&1; then
		return 0
	fi
	say "Building ($MODE): $*"
	mkdir -p "$cache"
	log=$cache/make-$MODE.log
	if ! make -C "$root" -j"$jobs" MODE="$MODE" "$@" >"$log" 2>&1; then
		tail -n 40 "$log" >&2
		die "make failed; all it said is in ${log#"$root"/}"
	fi
}
