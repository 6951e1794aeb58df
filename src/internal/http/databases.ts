/**
 * The databases that the routes tell about: those of some tags, or all of a registry.
 */
import * as Effect from "effect/Effect"
import { Db, type Members } from "../../Db.js"
import type * as DbHealth from "../../DbHealth.js"
import type { PoolSnapshot } from "../../DbMetrics.js"
import { DbRegistry } from "../../DbRegistry.js"
import * as OpenPools from "../registry/OpenPools.js"

/** What is shown behind the guard only. */
export interface Details {
  readonly info: Told<"info">
  readonly pool: Told<"pool">
  readonly metrics: Told<"metrics">
}

/** What a member of a tag tells. */
type Told<Name extends "info" | "pool" | "metrics"> = Effect.Effect.Success<Members<never>[Name]>

/** A database that can be looked at. */
export interface Watched {
  readonly name: string
  readonly health: Effect.Effect<DbHealth.Report>
  /** What its pool does now; `undefined` where it is not open: it is not opened for this. */
  readonly pool: Effect.Effect<PoolSnapshot | undefined>
  /** `undefined` where it could not be opened. */
  readonly details: Effect.Effect<Details | undefined>
}

/** All of them. */
export interface Databases {
  readonly all: ReadonlyArray<Watched>
  /** The one of a name. */
  readonly find: (name: string) => Watched | undefined
}

const details = <Self>(database: Members<Self>): Effect.Effect<Details, never, Self> =>
  Effect.all({ info: database.info, pool: database.pool, metrics: database.metrics })

const make = (all: ReadonlyArray<Watched>): Databases => ({
  all,
  find: (name) => all.find((watched) => watched.name === name) ?? all.find((_) => spelling(_.name) === spelling(name))
})

/** Names that variables and addresses spell alike. */
const spelling = (name: string): string => name.replace(/[^A-Za-z\d]+/g, "").toUpperCase()

/** The database of a tag. */
const ofTag = <Self>(
  tag: Db.Tag<Self>
): Effect.Effect<Watched, never, Self> =>
  Effect.map(tag, (database): Watched => ({
    name: database.name,
    health: database.health,
    pool: Effect.provideService(tag.pool, tag, database),
    details: Effect.provideService(details(tag), tag, database)
  }))

/** The databases of tags. */
export const ofTags = <Self>(
  tags: ReadonlyArray<Db.Tag<Self>>
): Effect.Effect<Databases, never, Self> => Effect.map(Effect.forEach(tags, ofTag), make)

/** The databases of a registry: opened when they are looked at. */
export const ofRegistry: Effect.Effect<Databases, never, DbRegistry> = Effect.map(
  DbRegistry,
  (registry) =>
    make(registry.names.map((name): Watched => ({
      name,
      // The names are the registry's own.
      health: Effect.orDie(registry.healthOf(name)),
      // Not by a use of it, which would open it, or keep it open.
      pool: Effect.sync(() => OpenPools.find(registry, name)),
      details: details(Db).pipe(registry.use(name), Effect.orElseSucceed(() => undefined))
    })))
)
