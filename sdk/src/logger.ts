// What the SDK says of its connections, to whoever wants to hear it.

/** Takes what the SDK says: any logger with these methods will do. Nothing of a request and no secret is said. */
export interface Logger {
  /** Calls that are repeated. */
  debug(message: string, fields: LogFields): void;
  /** Connections, failovers, watches that are resumed, certificates that were read again. */
  info(message: string, fields: LogFields): void;
  /** What somebody should look at. */
  warn(message: string, fields: LogFields): void;
}

/** What a message is about. */
export type LogFields = Readonly<Record<string, string | number | boolean>>;

/** Says nothing. */
export const SILENT: Logger = { debug: () => undefined, info: () => undefined, warn: () => undefined };
