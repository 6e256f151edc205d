// The files of one network's dnsmasq, as a port. Trouble with them is thrown.

/** Files in a directory of their own. */
export interface ServerFiles {
  /** Replaces hosts and options and removes every addition; dnsmasq reads them when told. */
  replace(hosts: string, options: string): Promise<void>;
  /** Puts a whole file among the additions; dnsmasq reads it at once. */
  add(name: string, lines: string): Promise<void>;
  /** All host lines that are there, of an earlier process. */
  hostLines(): Promise<readonly string[]>;
  /** Removes the directory. */
  remove(): Promise<void>;
}
