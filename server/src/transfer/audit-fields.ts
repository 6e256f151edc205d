// An audit event as the fields of a log line: spelled as in an export, named as in other lines.

import type { AuditEvent } from '../domain/audit.js';
import { audit } from './documents.js';

/** The fields; what is absent is left out. */
export function auditFields(event: AuditEvent): Readonly<Record<string, unknown>> {
  const printed = audit.print(event) as Readonly<Record<string, unknown>>;
  // A line has a time of its own.
  const { event_id, time: _, request_id, resource_id, network_id, ...same } = printed;
  return { event: event_id, request: request_id, resource: resource_id, network: network_id, ...same };
}
