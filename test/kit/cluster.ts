/**
 * A primary and its standby, each behind a proxy, with the first one's place taken over by the second one in rounds.
 *
 * - `makePair`: `Effect<Pair, never, Scope>`; a primary and a standby that streams from it.
 * - `nextPair(pair)`: the standby, which was promoted, as a primary with a new standby. The scope keeps the servers.
 * - `urlOf(nodes, parameters?)`: one URL with several hosts, by way of the proxies.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { eventually, PrivatePostgres, query } from "./postgres.js"
import { makeProxy, type Proxy } from "./proxy.js"

/** One server, and the proxy in front of it. */
export interface Node {
  readonly server: PrivatePostgres
  readonly proxy: Proxy
}

/** Two servers with the same data. */
export interface Pair {
  readonly primary: Node
  readonly standby: Node
}

const hba = ["host replication all 127.0.0.1/32 scram-sha-256"]

const nodeOf = (server: PrivatePostgres): Effect.Effect<Node, never, Scope.Scope> =>
  Effect.map(makeProxy({ host: server.host, port: server.port }), (proxy) => ({ server, proxy }))

/** Makes a standby of a server, which is stopped for that. */
const withStandby = (primary: Node): Effect.Effect<Pair, never, Scope.Scope> =>
  Effect.gen(function*() {
    yield* primary.server.stop()
    const server = yield* PrivatePostgres.make({ tls: false, hba, standbyOf: primary.server })
    yield* primary.server.start
    yield* eventually(
      query(primary.server.url, "SELECT FROM pg_stat_replication WHERE state = 'streaming'"),
      (rows) => rows.length === 1,
      20_000
    )
    return { primary, standby: yield* nodeOf(server) }
  })

export const makePair: Effect.Effect<Pair, never, Scope.Scope> = Effect.gen(function*() {
  const server = yield* PrivatePostgres.make({ tls: false, hba })
  return yield* withStandby(yield* nodeOf(server))
})

export const nextPair = ({ standby }: Pair): Effect.Effect<Pair, never, Scope.Scope> => withStandby(standby)

/** A COMMIT is answered when the standby has it, too. */
export const synchronous = ({ primary }: Pair): Effect.Effect<void> =>
  Effect.gen(function*() {
    yield* query(primary.server.url, "ALTER SYSTEM SET synchronous_standby_names = '*'")
    yield* query(primary.server.url, "SELECT pg_reload_conf()")
    yield* eventually(
      query(primary.server.url, "SELECT FROM pg_stat_replication WHERE sync_state = 'sync'"),
      (rows) => rows.length === 1
    )
  })

export const promote = ({ server }: Pick<Node, "server">): Effect.Effect<void> =>
  Effect.asVoid(query(server.url, "SELECT pg_promote()"))

export const urlOf = (nodes: ReadonlyArray<Node>, parameters = "target_session_attrs=read-write"): string => {
  const [first] = nodes
  const { password, user } = first!.server
  const hosts = nodes.map(({ proxy }) => `127.0.0.1:${proxy.port}`).join(",")
  return `postgres://${user}:${password}@${hosts}/postgres?${parameters}`
}
