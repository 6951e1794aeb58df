/**
 * What `dblive doctor` looks at of the replicas of a database: whether each answers, is a standby, and how far it is behind.
 */
import * as Effect from "effect/Effect"
import type * as DbConfig from "../../DbConfig.js"
import type { DbError } from "../../DbError.js"
import type * as Driver from "../../driver/Driver.js"
import { ownRequest } from "../driver/ownRequest.js"
import type { Replica } from "../replicas/Replica.js"
import type { Replicas } from "../replicas/Replicas.js"

/** What was found of one replica. */
export interface FoundReplica {
  /** Of its pool, as in metrics. */
  readonly name: string
  readonly address: string
  readonly version: string | null
  /** `null` where it did not answer. */
  readonly standby: boolean | null
  /** How far it is behind; `null` where it does not say so. */
  readonly lagSeconds: number | null
  /** The connections that it has for programs like this one. */
  readonly maxConnections: number | null
  readonly error: string | null
}

/** A question on a place of its own, which does not wait for a server that is down. */
const ask = (replica: Replica, question: string): Effect.Effect<unknown, DbError> =>
  Effect.map(
    replica.server.ask<unknown>((connection, done) => connection.execute(ownRequest(question), done), true),
    // An answer in the mode `values`: rows of one number and more.
    (rows) => (rows as ReadonlyArray<ReadonlyArray<unknown>>)[0]?.[0]
  )

const look = (replica: Replica, { replication }: Replicas, connections: string): Effect.Effect<FoundReplica> => {
  const { server } = replica
  const known = { name: server.poolName, address: server.driver.target.uri }
  return Effect.gen(function*() {
    const replayed = yield* server.ask(
      (connection, done: Driver.Done<Driver.Replayed | undefined>) => replication.replayed(connection, done),
      true
    )
    const most = Number(yield* ask(replica, connections))
    return {
      ...known,
      version: server.serverVersion ?? null,
      standby: replayed !== undefined,
      lagSeconds: replayed?.lag ?? null,
      maxConnections: Number.isNaN(most) ? null : most,
      error: null
    }
  }).pipe(
    Effect.catchAll((error) =>
      Effect.succeed({
        ...known,
        version: server.serverVersion ?? null,
        standby: null,
        lagSeconds: null,
        maxConnections: null,
        error: error.message
      })
    )
  )
}

/**
 * Looks at all of them at once.
 *
 * @param connections a text that asks how many connections a server has
 */
export const lookAt = (replicas: Replicas, connections: string): Effect.Effect<ReadonlyArray<FoundReplica>> =>
  Effect.forEach(replicas.all, (replica) => look(replica, replicas, connections), { concurrency: "unbounded" })

/** What keeps reads from them. */
export const replicaProblems = (found: ReadonlyArray<FoundReplica>): ReadonlyArray<string> =>
  found.flatMap(({ address, error, name, standby: isStandby }) =>
    error !== null
      ? [`${name} (${address}): ${error}`]
      : isStandby === false
      ? [
        `${name} (${address}) is no standby: no reads go to it; give the URL of a server that replays the primary's log`
      ]
      : []
  )

/** What will keep reads from them while it lasts. */
export const replicaWarnings = (
  found: ReadonlyArray<FoundReplica>,
  { replication: { maxLag } }: Pick<DbConfig.DbConfig, "replication">
): ReadonlyArray<string> =>
  found.flatMap(({ address, lagSeconds, name }) =>
    maxLag > 0 && lagSeconds !== null && lagSeconds * 1000 > maxLag
      ? [
        `${name} (${address}) is ${Math.round(lagSeconds)} s behind; reads go to it within ${
          maxLag / 1000
        } s (replication.maxLag)`
      ]
      : []
  )

/** As it is shown under its database. */
export const replicaLine = ({ address, lagSeconds, name, standby: isStandby, version }: FoundReplica): string =>
  `${name}: ${address}: ${
    isStandby === null
      ? "does not answer"
      : `${isStandby ? "a standby" : "no standby"}${version === null ? "" : `, ${version}`}${
        lagSeconds === null ? "" : `, ${lagSeconds.toFixed(1)} s behind`
      }`
  }`
