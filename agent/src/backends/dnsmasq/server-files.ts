// The files of one network's dnsmasq, as a port. Trouble with them is thrown.

import type { Told } from './told.js';

/** Files in a directory of their own. */
export interface ServerFiles {
  /** Replaces all and removes every addition. dnsmasq reads hosts and options when told, tags when it starts. */
  replace(told: Told): Promise<void>;
  /** Answers all host lines that are there or were set aside, and sets them aside: also for an agent that comes after this one. */
  setAside(): Promise<readonly string[]>;
  /** Forgets what was set aside. */
  settle(): Promise<void>;
  /** Puts a whole file among the additions; dnsmasq reads it at once. */
  add(name: string, lines: string): Promise<void>;
  /** Removes the directory. */
  remove(): Promise<void>;
}
