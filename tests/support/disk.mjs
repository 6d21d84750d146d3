// A disk whose power can be cut: ext4 on a file, through a loop device. Of what was written
// a cut leaves what was flushed (by fsync, or by the kernel by itself) and nothing else.
import { spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { closeSync, fsyncSync, openSync, readdirSync, readlinkSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { run } from './stack.mjs';

// ioctl EXT4_IOC_SHUTDOWN with EXT4_GOING_FLAGS_NOLOGFLUSH (Linux, fs/ext4/ext4.h): from now
// on nothing reaches the device any more, the journal's open transaction included.
const SHUTDOWN = `import fcntl,os,struct,sys
fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587d, struct.pack('I', 2))`;

const BUSY_MS = 10000;
const BOOT_ID = '/proc/sys/kernel/random/boot_id';

const namespace = () => readlinkSync('/proc/self/ns/mnt');
const OUTER = 'HUNDREDX_TEST_OUTER_NAMESPACE';

// Runs this program again in a mount namespace of its own, and ends with its code, unless it
// is in one: elsewhere what is started meanwhile would keep a disk mounted, and whoever looks
// would see the start of another machine.
export function needsNamespace() {
  if (process.env[OUTER]) return;
  const { status, error } = spawnSync('unshare', ['--mount', process.execPath, ...process.argv.slice(1)],
    { stdio: 'inherit', env: { ...process.env, [OUTER]: namespace() } });
  if (error) throw error;
  process.exit(status ?? 1);
}

async function must(command, ...args) {
  const { code, stderr } = await run(command, args);
  if (code !== 0) throw new Error(`${command} ${args.join(' ')}: ${stderr.trim()}`);
}

function unlessGone(f) {
  try {
    return f();
  } catch (error) {
    if (error.code !== 'ENOENT') throw error;
    return undefined;
  }
}

function flush(file) {
  const fd = openSync(file, 'r');
  fsyncSync(fd);
  closeSync(fd);
}

export class Disk {
  // In a folder of the caller's, which called needsNamespace; throws with the kernel's word where
  // it may not be mounted.
  static async make(parent, megabytes = 512) {
    if ((process.env[OUTER] ?? namespace()) === namespace()) throw new Error('a disk needs a mount namespace of its own');
    const disk = new Disk();
    disk.boot = path.join(parent, 'boot_id');
    disk.image = path.join(parent, 'disk.img');
    disk.folder = path.join(parent, 'disk');
    await mkdir(disk.folder);
    await must('truncate', '-s', `${megabytes}M`, disk.image);
    await must('mkfs.ext4', '-q', '-F', disk.image);
    await writeFile(disk.boot, '');
    await must('mount', '--bind', disk.boot, BOOT_ID);
    await disk.mount();
    return disk;
  }

  // With it the machine starts.
  async mount() {
    await writeFile(this.boot, `${randomUUID()}\n`);
    await must('mount', '-o', 'loop', this.image, this.folder);
  }

  // The power goes: whoever writes from now on gets EIO, until the disk is unmounted and
  // mounted again.
  async cut() {
    await must('python3', '-S', '-c', SHUTDOWN, this.folder);
  }

  // A process that was just killed may hold it for a moment.
  async unmount() {
    for (const until = Date.now() + BUSY_MS; ;) {
      const { code, stderr } = await run('umount', [this.folder]);
      if (code === 0) return;
      if (!/busy/.test(stderr) || Date.now() > until) throw new Error(`umount ${this.folder}: ${stderr.trim()}`);
      await new Promise((resolve) => { setTimeout(resolve, 20); });
    }
  }

  // Flushes some files, in no order, as the kernel does when it finds the time.
  flushSome(random, share, folder = this.folder) {
    for (const entry of unlessGone(() => readdirSync(folder, { withFileTypes: true })) ?? []) {
      const name = path.join(folder, entry.name);
      if (entry.isDirectory()) this.flushSome(random, share, name);
      else if (entry.isFile() && random.next() < share) unlessGone(() => flush(name));
    }
  }

  async remove() {
    await this.unmount();
    await must('umount', BOOT_ID);
    await rm(this.image);
  }
}
