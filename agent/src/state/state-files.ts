// The files of a state directory, as the state store needs them.

/** Files in one flat directory that one process owns. */
export interface StateFiles {
  /** Names of all files. */
  list(): Promise<readonly string[]>;
  /** The bytes of a file; `undefined` when there is none. */
  read(name: string): Promise<Buffer | undefined>;
  /** Replaces a file: whatever crashes, it has the old bytes or the new ones, and the new ones once this resolved. */
  write(name: string, bytes: Uint8Array): Promise<void>;
  /** Adds bytes at the end of a file that may not exist yet. When resolved they outlive the process, not the machine. */
  append(name: string, bytes: Uint8Array): Promise<void>;
  /** Removes a file; one that is not there is removed already. */
  remove(name: string): Promise<void>;
  /** Renames a file over whatever has the new name. */
  rename(from: string, to: string): Promise<void>;
}
