/**
 * Writes of this process to a server, for tests of how statements travel.
 *
 * - `writesTo(port)`: counts them from now on, to the end of the scope; gives what reads the count.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as net from "node:net"
import { vi } from "vitest"

/** Counts from now on what this process writes to sockets that lead to this port. */
export const writesTo = (port: number): Effect.Effect<() => number, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => vi.spyOn(net.Socket.prototype, "write")),
    (spy) => Effect.sync(() => spy.mockRestore())
  ).pipe(
    Effect.map((spy) => () => spy.mock.contexts.filter((socket) => (socket as net.Socket).remotePort === port).length)
  )
