// How failures are told: as text with what to do next, or as JSON and YAML for programs; and the exit code each gives.

import type { LeaseholdError } from '../errors.js';
import { nextStep } from './next-steps.js';
import { type OutputFormat, printable, serialize } from './output.js';
import type { Json } from './yaml.js';

const UNANSWERED: ReadonlySet<string> = new Set(['NO_CONNECTION', 'OUTCOME_UNKNOWN', 'DEADLINE_EXCEEDED']);

/** The exit code of a failure: 1 refused, 3 no answer. */
export function exitCode({ reason }: LeaseholdError): number {
  return UNANSWERED.has(reason) ? 3 : 1;
}

/** A failure as it is printed on stderr. */
export function errorText(error: LeaseholdError, format: OutputFormat): string {
  if (format !== 'table') return serialize({ error: errorJson(error) }, format);
  // The message of a server holds what fits of them: what it says is not said twice.
  const unsaid = error.fieldViolations.filter(
    ({ field, description }) => !error.message.includes(`${field}: ${description}`),
  );
  const fields = unsaid.map(({ field, description }) => `  ${printable(`${field}: ${description}`)}\n`);
  const next = nextStep(error);
  const step = next === undefined ? '' : `  → ${printable(next)}\n`;
  return `leasehold: ${printable(`${error.message} (${error.reason})`)}\n${fields.join('')}${step}`;
}

function errorJson(error: LeaseholdError): Json {
  const { code, reason, message, metadata, fieldViolations, retryable, retryAfterMs } = error;
  return {
    code,
    reason,
    message,
    metadata,
    field_violations: fieldViolations.map(({ field, description }) => ({ field, description })),
    retryable,
    next: nextStep(error) ?? '',
    ...(retryAfterMs === undefined ? {} : { retry_after: `${retryAfterMs / 1_000}s` }),
  };
}
