// The files of a dnsmasq on a real file system. Nothing is flushed: what they hold is written anew by every agent.

import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { FILES } from './render.js';
import type { ServerFiles } from './server-files.js';
import { hostsFile, type Told } from './told.js';

const FILE_MODE = 0o640;
const DIRECTORY_MODE = 0o750;

const KEY = /^[0-9a-f]{32}$/;

/** Removes the directories of networks, but for those with these keys; what else is there stays. */
export async function removeOthers(directory: string, keys: ReadonlySet<string>): Promise<void> {
  const names = await readdir(directory).catch(() => []);
  for (const name of names) {
    if (KEY.test(name) && !keys.has(name)) await rm(join(directory, name), { recursive: true, force: true });
  }
}

/** Files in a directory, which is made when it is needed. */
export class SystemFiles implements ServerFiles {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  async replace(told: Told): Promise<void> {
    await this.#makeDirectories();
    const { options, tags } = told;
    if (tags) await this.#write('', tags.name, tags.text);
    await this.#write('', FILES.options, options);
    await this.#write('', FILES.hosts, hostsFile(told));
    const others = (await readdir(this.#directory)).filter(
      (name) => name.startsWith(FILES.tags) && name !== tags?.name,
    );
    for (const name of others) await rm(this.#path(name));
    for (const name of await readdir(this.#path(FILES.additions))) await rm(this.#path(FILES.additions, name));
  }

  async setAside(): Promise<readonly string[]> {
    const added = await readdir(this.#path(FILES.additions)).catch(() => []);
    const [before, hosts] = [this.#path(FILES.before), this.#path(FILES.hosts)];
    const files = [before, hosts, ...added.map((name) => this.#path(FILES.additions, name))];
    const texts = await Promise.all(files.map((file) => readFile(file, 'latin1').catch(() => '')));
    const lines = [...new Set(texts.join('\n').split('\n'))].filter((line) => line !== '' && !line.startsWith('#'));
    await this.#makeDirectories();
    await this.#write('', FILES.before, lines.map((line) => `${line}\n`).join(''));
    return lines;
  }

  async settle(): Promise<void> {
    await rm(this.#path(FILES.before), { force: true });
  }

  async add(name: string, lines: string): Promise<void> {
    await this.#write(FILES.additions, name, lines);
  }

  async remove(): Promise<void> {
    await rm(this.#directory, { recursive: true, force: true });
  }

  async #makeDirectories(): Promise<void> {
    await mkdir(this.#path(FILES.additions), { recursive: true, mode: DIRECTORY_MODE });
  }

  // dnsmasq reads no file of the additions whose name begins with a dot.
  async #write(directory: string, name: string, text: string): Promise<void> {
    const temporary = this.#path(directory, `.${name}`);
    await writeFile(temporary, text, { encoding: 'latin1', mode: FILE_MODE });
    await rename(temporary, this.#path(directory, name));
  }

  #path(...names: readonly string[]): string {
    return join(this.#directory, ...names);
  }
}
