// The files of one network's dnsmasq, as a port. Trouble with them is thrown.

import type { Told } from './told.js';

/** Files in a directory of their own. */
export interface ServerFiles {
  /** Replaces all and removes every addition. dnsmasq reads hosts and options when told, tags when it starts. */
  replace(told: Told): Promise<void>;
  /** dnsmasq remembers nothing of what was there before: that is not among `hostLines` any more. */
  settle(): Promise<void>;
  /** Puts a whole file among the additions; dnsmasq reads it at once. */
  add(name: string, lines: string): Promise<void>;
  /** All host lines that are there, and those that were there before a `replace` that was not settled. */
  hostLines(): Promise<readonly string[]>;
  /** Removes the directory. */
  remove(): Promise<void>;
}
