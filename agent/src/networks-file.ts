// The networks file, followed while it changes.
//
// What cannot be read or parsed changes nothing: the last good content stays, and one line says why.

import { readFileSync, statSync } from 'node:fs';
import type { Clock, Timer } from '@leasehold/program/clock';
import type { Log } from '@leasehold/program/log';
import { type ConfiguredNetwork, parseNetworksFile } from './networks-config.js';

const POLL_MS = 1_000;

/** Follows a networks file. */
export class NetworksFile {
  readonly #path: string;
  readonly #given: readonly ConfiguredNetwork[];
  readonly #ports: { readonly clock: Clock; readonly log: Log };
  readonly #onChange: (networks: readonly ConfiguredNetwork[]) => void;
  #seen = '';
  #timer: Timer | undefined;

  /** `given`: networks from elsewhere, which the file may not give again. */
  constructor(
    path: string,
    given: readonly ConfiguredNetwork[],
    ports: { readonly clock: Clock; readonly log: Log },
    onChange: (networks: readonly ConfiguredNetwork[]) => void,
  ) {
    this.#path = path;
    this.#given = given;
    this.#ports = ports;
    this.#onChange = onChange;
  }

  /** Reads the file now and whenever it changed. */
  start(): void {
    this.#timer = this.#ports.clock.after(POLL_MS, () => this.start());
    try {
      this.#read();
    } catch (error) {
      const problem = (error as NodeJS.ErrnoException).code ?? String(error);
      // Once for each way it cannot be read, not once a second.
      if (this.#seen !== problem) this.#warn(problem);
      this.#seen = problem;
    }
  }

  /** Looks no more. */
  stop(): void {
    this.#timer?.cancel();
  }

  #read(): void {
    const { mtimeMs, size, ino } = statSync(this.#path);
    const version = `${mtimeMs} ${size} ${ino}`;
    if (version === this.#seen) return;
    const text = readFileSync(this.#path, 'utf8');
    this.#seen = version;
    const networks = parseNetworksFile(text, this.#given);
    if (networks.ok) this.#onChange(networks.value);
    else this.#warn(networks.problem);
  }

  #warn(problem: string): void {
    this.#ports.log.warn('Networks file is not used, the networks stay as they were', { file: this.#path, problem });
  }
}
