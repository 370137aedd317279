"""A Raspberry Pi's userland under qemu, with the project installed: python -m benchmarks.userland TARGET FOLDER.

Needs root, Debian, network, and `apt-get install --no-install-recommends qemu-user-static mmdebstrap`. Look around with
`QEMU_CPU=cortex-a72 chroot FOLDER /usr/bin/python3` (armhf: QEMU_CPU=max). Emulated times are not a Pi's.
"""

import compileall
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
BINFMT = Path("/proc/sys/fs/binfmt_misc")
# pip asks `platform` for what decides the markers of dependencies, whatever --platform says
PIP_ELSEWHERE = """
import platform, runpy, sys
machine, version = sys.argv[1:3]
platform.machine = lambda: machine
platform.python_version = lambda: version
platform.python_version_tuple = lambda: tuple(version.split("."))
sys.argv[:] = ["pip", *sys.argv[3:]]
runpy.run_module("pip", run_name="__main__")
"""


@dataclass(frozen=True)
class Target:
    """An operating system as it runs on a Pi."""

    architecture: str  # Debian's word
    suite: str
    machine: str  # Python's word
    triplet: str
    python: str
    glibc: int  # 36 for 2.36
    cpu: str  # qemu's word; 64-bit `max` has features that no Pi has, and litert's kernels for them
    cpuinfo: tuple[str, str, int]  # features, part, architecture
    debian: tuple[str, ...] = ()  # distributions of Python that have no wheel there, from Debian

    @property
    def name(self) -> str:
        return f"{self.architecture}-{self.suite}"


ARM64 = ("fp asimd evtstrm crc32 cpuid", "0xd08", 8)
ARMHF = ("half thumb fastmult vfp edsp neon vfpv3 tls vfpv4 idiva idivt vfpd32 lpae evtstrm crc32", "0xd03", 7)
DEBIAN_NAMES = {"numpy": "python3-numpy", "pillow": "python3-pil"}
TARGETS = {
    target.name: target
    for target in (
        Target("arm64", "bookworm", "aarch64", "aarch64-linux-gnu", "3.11", 36, "cortex-a72", ARM64),
        Target("armhf", "bookworm", "armv7l", "arm-linux-gnueabihf", "3.11", 36, "max", ARMHF, ("numpy", "pillow")),
        Target("arm64", "trixie", "aarch64", "aarch64-linux-gnu", "3.13", 41, "cortex-a72", ARM64),
    )
}


def missing() -> str:
    """Why no userland can be built and run here, or ''."""
    if os.name != "posix" or os.geteuid() != 0:
        return "needs root"
    tools = ("mmdebstrap", "qemu-aarch64-static", "qemu-arm-static")
    if absent := [tool for tool in tools if not shutil.which(tool)]:
        return f"needs {absent[0]}: apt-get install --no-install-recommends qemu-user-static mmdebstrap"
    try:
        register()
    except (OSError, subprocess.CalledProcessError) as error:
        return f"the kernel takes no emulator ({error})"
    return ""


def register() -> None:
    """Tell the kernel, where it does not know, that qemu runs what is built for ARM."""
    if not (BINFMT / "register").exists():
        subprocess.run(["mount", "-t", "binfmt_misc", "binfmt_misc", BINFMT], check=True, capture_output=True)
    for name in ("qemu-aarch64", "qemu-arm"):
        if not (BINFMT / name).exists():
            (BINFMT / "register").write_bytes(Path(f"/usr/lib/binfmt.d/{name}.conf").read_bytes())


def build(target: Target, folder: Path, *requirements: str) -> None:
    """Make the userland in a folder that does not exist yet, with what pip would install there for `requirements`."""
    packages = ["python3", "libstdc++6", *(DEBIAN_NAMES[name] for name in target.debian)]
    options = [f"--arch={target.architecture}", f"--include={','.join(packages)}", "--mode=root", "--variant=extract"]
    options += ['--aptopt=Acquire::Retries "3"']
    subprocess.run(["mmdebstrap", "--quiet", *options, target.suite, str(folder), mirror()], check=True)
    for name in ("bin", "lib", "sbin"):
        if not (folder / name).exists():
            (folder / name).symlink_to(f"usr/{name}")
    for name in ("blas", "lapack"):  # Debian's `alternatives`, which only a configured package has
        (folder / f"usr/lib/{target.triplet}/lib{name}.so.3").symlink_to(f"{name}/lib{name}.so.3")
    for name in ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/man", "usr/share/locale"):
        shutil.rmtree(folder / name, ignore_errors=True)
    describe_processor(target, folder)
    if requirements:
        install(target, folder, *requirements)
    (folder / "work").mkdir()


def mirror() -> str:
    """Where this machine's apt has Debian from."""
    command = ["apt-get", "indextargets", "--format", "$(REPO_URI)"]
    addresses = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return next(address for address in addresses if "security" not in address)


def describe_processor(target: Target, folder: Path) -> None:
    """Plain files where a kernel would tell of a Pi's four cores; with the host's own /proc litert would crash."""
    features, part, version = target.cpuinfo
    cores = folder / "sys/devices/system/cpu"
    for core in range(4):
        about = cores / f"cpu{core}"
        files: dict[str, object] = {
            "cpufreq/cpuinfo_max_freq": 1800000,
            "cpufreq/cpuinfo_min_freq": 600000,
            "topology/core_id": core,
        }
        files |= {"topology/physical_package_id": 0, "topology/core_siblings": "f"}
        files |= {"topology/core_siblings_list": "0-3", "topology/thread_siblings_list": core}
        for name, value in files.items():
            (about / name).parent.mkdir(parents=True, exist_ok=True)
            (about / name).write_text(f"{value}\n")
    for name in ("possible", "present", "online"):
        (cores / name).write_text("0-3\n")
    (folder / "proc").mkdir(exist_ok=True)
    core_text = (
        f"BogoMIPS\t: 108.00\nFeatures\t: {features}\nCPU implementer\t: 0x41\nCPU architecture: {version}\n"
        f"CPU variant\t: 0x0\nCPU part\t: {part}\nCPU revision\t: 3\n\n"
    )
    text = "".join(f"processor\t: {core}\n{core_text}" for core in range(4))
    (folder / "proc/cpuinfo").write_text(f"{text}Hardware\t: BCM2835\nModel\t\t: Raspberry Pi (emulated)\n")


def pip_elsewhere(target: Target, machine: str | None = None) -> list[str]:
    """The command line of a pip that thinks itself on the target, or on one whose kernel calls its machine so."""
    return [sys.executable, "-c", PIP_ELSEWHERE, machine or target.machine, f"{target.python}.2"]


def wheel_tags(target: Target) -> list[str]:
    """pip's options for what the target can run."""
    platforms = [f"manylinux_2_{minor}_{target.machine}" for minor in range(target.glibc, 16, -1)]
    platforms += [f"manylinux2014_{target.machine}", f"linux_{target.machine}"]
    options = ["--only-binary=:all:", "--python-version", target.python, "--implementation", "cp"]
    return [*options, *(option for platform in platforms for option in ("--platform", platform))]


def install(target: Target, folder: Path, *requirements: str, into: str = "") -> None:
    """What pip would install on the target, where Debian's packages are installed already; `into` another folder."""
    destination = folder / (into.lstrip("/") or f"usr/local/lib/python{target.python}/dist-packages")
    with tempfile.TemporaryDirectory() as standing_in:
        for name in target.debian:
            stand_in(name, debian_version(target, folder, name), Path(standing_in))
        command = [*pip_elsewhere(target), "install", "-qq", "--no-compile", "--target", str(destination)]
        command += ["--no-warn-conflicts", "--find-links", standing_in, *wheel_tags(target), *requirements]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    for script in (destination / "bin").glob("digit-*"):
        (folder / "usr/local/bin").mkdir(parents=True, exist_ok=True)
        text = script.read_text().partition("\n")[2]
        (folder / "usr/local/bin" / script.name).write_text(f"#!/usr/bin/python3\n{text}")
        (folder / "usr/local/bin" / script.name).chmod(0o755)
    if tuple(map(int, target.python.split("."))) == sys.version_info[:2]:  # else the first import compiles, slowly
        for compiled in (destination, folder / f"usr/lib/python{target.python}", folder / "usr/lib/python3"):
            compileall.compile_dir(compiled, quiet=2, stripdir=str(folder), prependdir="/")


def debian_version(target: Target, folder: Path, name: str) -> str:
    """The version of a distribution of Python that Debian's package holds."""
    about = next((folder / "usr/lib/python3/dist-packages").glob(f"{name.title()}-*.*-info"), None)
    about = about or next((folder / "usr/lib/python3/dist-packages").glob(f"{name}-*.*-info"))
    return about.name.rpartition(".")[0].split("-")[1]


def stand_in(name: str, version: str, folder: Path) -> None:
    """An empty wheel that tells pip of a distribution that is installed; a newer one that has a wheel wins over it."""
    about = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        wheel.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{about}/RECORD", "")


def build_wheel(folder: Path) -> Path:
    """The project as a wheel."""
    with tempfile.TemporaryDirectory() as source:  # setuptools leaves a build folder behind
        names = ("setup.cfg", "pyproject.toml", "README.md", "LICENSE", "runtime", "trainer", "exporter")
        for name in names:
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            copy(ROOT / name, Path(source) / name)
        command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), source]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return next(folder.glob("digit_edge-*.whl"))


def start(target: Target, folder: Path, command: list[str], **options: Any) -> subprocess.Popen[bytes]:
    """Start a command inside, in the folder /work; pipes for stdout and stderr. Takes Popen's options."""

    def enter() -> None:
        os.chroot(folder)
        os.chdir("/work")

    environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/root", "LANG": "C.UTF-8", "QEMU_CPU": target.cpu}
    environment |= options.pop("env", {})
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process: subprocess.Popen[bytes] = subprocess.Popen(command, preexec_fn=enter, env=environment, **(pipes | options))
    return process


def main() -> None:
    name, folder = sys.argv[1:]
    if fault := missing():
        sys.exit(fault)
    with tempfile.TemporaryDirectory() as wheels:
        build(TARGETS[name], Path(folder), str(build_wheel(Path(wheels))))


if __name__ == "__main__":
    main()
