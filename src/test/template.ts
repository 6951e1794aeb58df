/**
 * Databases for tests on a PostgreSQL server: a template per set of migrations, and copies of it.
 *
 * Names say what may be swept: `dblive_test_{host}_{process}_{time}_{number}` and `dblive_template_{hash}`.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { createHash } from "node:crypto"
import * as os from "node:os"
import type { DbError } from "../DbError.js"
import type * as Driver from "../driver/Driver.js"
import { askEffect } from "./decorate.js"

const day = 24 * 60 * 60 * 1000

/** How long a database that was kept, or a template, stays at least. */
const keptFor = 7 * day

/** Marks a database that is to stay, in its comment. */
const kept = "kept by dblive"

const host = createHash("sha256").update(os.hostname()).digest("hex").slice(0, 6)

let number = 0

/** A name that nobody else takes. */
export const newName = (): string =>
  `dblive_test_${host}_${process.pid.toString(36)}_${Date.now().toString(36)}_${(++number).toString(36)}`

export const templateName = (hash: string): string => `dblive_template_${hash.slice(0, 24)}`

/** Sends a statement; names in it are quoted by whoever makes it. */
type Ask = (
  text: string,
  params?: ReadonlyArray<unknown>
) => Effect.Effect<ReadonlyArray<ReadonlyArray<unknown>>, DbError>

const quote = (name: string): string => `"${name.replaceAll("\"", "\"\"")}"`

const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM"
  }
}

/** A server, as an administrator sees it. */
export interface Server {
  /** Makes a database from a template (without one: an empty database), and drops it with the scope. */
  readonly database: (
    name: string,
    template: string | undefined,
    keep: (isFailure: boolean) => boolean
  ) => Effect.Effect<void, DbError, Scope.Scope>
  /** Makes sure that there is a template: built once, by whoever is first; the others wait. */
  readonly template: <E, R>(
    name: string,
    build: (database: string) => Effect.Effect<void, E, R>
  ) => Effect.Effect<void, E | DbError, R>
  /** Drops what crashed runs have left, and templates that are old. */
  readonly sweep: Effect.Effect<void, DbError>
}

/** Says where a database that stays is to be found. */
const report = (name: string): Effect.Effect<void> =>
  Effect.sync(() => {
    // Not the logger, which a test may have switched off.
    process.stderr.write(`dblive: the test is over, and its database is kept: ${name}\n`)
  })

export const serverOn = (connection: Driver.Connection): Server => {
  const ask: Ask = (text, params) => askEffect(connection, text, params)
  // `WAL_LOG` copies small databases without the two checkpoints of the other strategy, which servers before 15 have only.
  const strategy = Number.parseInt(connection.serverVersion, 10) >= 15 ? " STRATEGY WAL_LOG" : ""

  const drop = (name: string) => ask(`DROP DATABASE IF EXISTS ${quote(name)} WITH (FORCE)`)

  const create = (name: string, template: string) =>
    ask(`CREATE DATABASE ${quote(name)} TEMPLATE ${quote(template)}${strategy}`)

  const exists = (name: string) =>
    Effect.map(
      ask("SELECT 1 FROM pg_database WHERE datname = $1 AND datistemplate", [name]),
      (rows) => rows.length > 0
    )

  const locked = <A, E, R>(name: string, effect: Effect.Effect<A, E, R>) =>
    Effect.acquireUseRelease(
      Effect.interruptible(ask("SELECT pg_advisory_lock(hashtextextended($1, 0))", [name])),
      () => effect,
      // A connection that is gone has no locks.
      () => Effect.ignore(ask("SELECT pg_advisory_unlock(hashtextextended($1, 0))", [name]))
    )

  const dropTemplate = (name: string) =>
    Effect.zipRight(ask(`ALTER DATABASE ${quote(name)} WITH IS_TEMPLATE false`), drop(name))

  return {
    database: (name, template, keep) =>
      Effect.asVoid(Effect.acquireRelease(
        create(name, template ?? "template0"),
        (_, exit) => {
          const isFailure = exit._tag === "Failure"
          return keep(isFailure)
            ? Effect.zipRight(
              Effect.ignore(ask(`COMMENT ON DATABASE ${quote(name)} IS ${literal(kept)}`)),
              report(name)
            )
            : Effect.ignore(drop(name))
        }
      )),

    template: (name, build) =>
      Effect.flatMap(exists(name), (isThere) =>
        isThere ? Effect.void : locked(
          name,
          Effect.flatMap(exists(name), (isThere) =>
            isThere ? Effect.void : Effect.gen(function*() {
              // One that is no template yet was left by somebody who did not get to the end.
              yield* drop(name)
              yield* create(name, "template0")
              yield* Effect.onError(build(name), () => Effect.ignore(drop(name)))
              yield* ask(`COMMENT ON DATABASE ${quote(name)} IS ${literal(new Date().toISOString())}`)
              yield* ask(`ALTER DATABASE ${quote(name)} WITH IS_TEMPLATE true ALLOW_CONNECTIONS false`)
            }))
        )),

    sweep: Effect.flatMap(
      ask(
        "SELECT datname, datistemplate, shobj_description(oid, 'pg_database'), " +
          "EXISTS (SELECT FROM pg_stat_activity a WHERE a.datid = d.oid) FROM pg_database d " +
          "WHERE datname LIKE 'dblive\\_test\\_%' OR datname LIKE 'dblive\\_template\\_%'"
      ),
      (rows) =>
        Effect.forEach(rows, ([name, isTemplate, comment, isUsed]) => {
          const database = String(name)
          return isTemplate === true
            ? Date.now() - Date.parse(String(comment)) > keptFor ? Effect.ignore(dropTemplate(database)) : Effect.void
            : isLeftover(database, comment === kept, isUsed === true)
            ? Effect.ignore(drop(database))
            : Effect.void
        }, { discard: true })
    )
  }
}

/** Whether the run that made a database is over. */
export const isLeftover = (name: string, isKept: boolean, isUsed: boolean): boolean => {
  const parts = /^dblive_test_([0-9a-f]+)_([0-9a-z]+)_([0-9a-z]+)_[0-9a-z]+$/.exec(name)
  if (parts === null) {
    return false
  }
  const age = Date.now() - Number.parseInt(parts[3]!, 36)
  if (isKept) {
    return age > keptFor
  }
  // Numbers of processes of other machines say nothing, and those of this one come again.
  return parts[1] === host && !isAlive(Number.parseInt(parts[2]!, 36)) || (age > day && !isUsed)
}
