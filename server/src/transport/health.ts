// grpc.health.v1: SERVING from the moment the server is ready until it drains.

import { type ServerUnaryCall, type ServerWritableStream, type sendUnaryData, status } from '@grpc/grpc-js';
import {
  type HealthCheckRequest,
  type HealthCheckResponse,
  type HealthServer,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from '@leasehold/proto/grpc/health/v1/health';

type Watcher = ServerWritableStream<HealthCheckRequest, HealthCheckResponse>;

/** The health of the services of one listener; the empty name stands for all of them. */
export class Health {
  readonly #services: ReadonlySet<string>;
  readonly #watchers = new Set<Watcher>();
  #serving = true;

  constructor(services: readonly string[]) {
    this.#services = new Set(['', ...services]);
  }

  /** NOT_SERVING from now on; watchers are told, and their streams end. */
  stop(): void {
    this.#serving = false;
    for (const watcher of this.#watchers) {
      watcher.write(this.#status());
      watcher.end();
    }
    this.#watchers.clear();
  }

  #status(): HealthCheckResponse {
    return { status: this.#serving ? ServingStatus.SERVING : ServingStatus.NOT_SERVING };
  }

  /** The service. */
  handlers(): HealthServer {
    return {
      check: (
        call: ServerUnaryCall<HealthCheckRequest, HealthCheckResponse>,
        callback: sendUnaryData<HealthCheckResponse>,
      ) => {
        if (this.#services.has(call.request.service)) callback(null, this.#status());
        else callback({ code: status.NOT_FOUND, details: 'There is no such service here' });
      },
      watch: (call: Watcher) => {
        const known = this.#services.has(call.request.service);
        call.write(known ? this.#status() : { status: ServingStatus.SERVICE_UNKNOWN });
        if (!known) return;
        this.#watchers.add(call);
        call.on('cancelled', () => this.#watchers.delete(call));
        call.on('error', () => this.#watchers.delete(call));
      },
      list: (_call, callback) => {
        const statuses = Object.fromEntries([...this.#services].map((service) => [service, this.#status()]));
        callback(null, { statuses });
      },
    };
  }
}
