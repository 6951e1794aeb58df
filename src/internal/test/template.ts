/**
 * Databases for tests on a PostgreSQL server: a template per set of migrations, and copies of it.
 *
 * A run that makes or uses one holds an advisory lock of its name, which ends with its connection, however that ends.
 * So one without a lock was left behind. Advisory locks are those of one database: names say by which one they were made.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { createHash, randomBytes } from "node:crypto"
import { type DbError, isDbError } from "../../DbError.js"
import type * as Driver from "../../driver/Driver.js"
import { askEffect } from "./decorate.js"

const day = 24 * 60 * 60 * 1000

/** How long a database that was kept stays, and a template that is not used. */
const keptFor = 7 * day

/** Marks a database that is to stay, in its comment. */
const kept = "kept by dblive"

/** PostgreSQL's code, where a template is gone. */
const noSuchDatabase = "3D000"

const digest = (text: string, length: number): string =>
  createHash("sha256").update(text).digest("hex").slice(0, length)

/** A unique name, for what is made through a database. */
export const newName = (by: string): string =>
  `dblive_test_${digest(by, 6)}_${Date.now().toString(36)}_${randomBytes(4).toString("hex")}`

export const templateName = (by: string, hash: string): string =>
  `dblive_template_${digest(by, 6)}_${hash.slice(0, 24)}`

/** Sends a statement; names in it are quoted already. */
type Ask = (
  text: string,
  params?: ReadonlyArray<unknown>
) => Effect.Effect<ReadonlyArray<ReadonlyArray<unknown>>, DbError>

const quote = (name: string): string => `"${name.replaceAll("\"", "\"\"")}"`

const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`

/** How a template is made, where there is none. */
export interface Template<E, R> {
  readonly hash: string
  readonly build: (database: string) => Effect.Effect<void, E, R>
}

/** A server, as an administrator sees it. */
export interface Server {
  /**
   * Makes a database, a copy of a template where one is given, and gives its name; drops it with the scope. A template
   * is built once, by the first that needs it; the others wait.
   */
  readonly database: <E = never, R = never>(
    template: Template<E, R> | undefined,
    keep: (isFailure: boolean) => boolean
  ) => Effect.Effect<string, E | DbError, R | Scope.Scope>
  /** Drops what crashed runs have left, and what was kept for long enough. */
  readonly sweep: Effect.Effect<void, DbError>
}

/** What the server says of a database. */
export interface Found {
  readonly isTemplate: boolean
  /** Of a template: when it was used. */
  readonly comment: string
  readonly isUsed: boolean
}

/** Whether a database without a lock is to be dropped. */
export const isLeftover = (name: string, { comment, isTemplate, isUsed }: Found): boolean => {
  const now = Date.now()
  if (name.startsWith("dblive_template_")) {
    // Where the comment says no time, the last use is not known: it is made again.
    return isTemplate ? !(now - Date.parse(comment) < keptFor) : !isUsed
  }
  const made = /^dblive_test_[0-9a-f]{6}_([0-9a-z]+)_[0-9a-f]{8}$/.exec(name)?.[1]
  return made !== undefined && !isUsed && (comment !== kept || now - Number.parseInt(made, 36) > keptFor)
}

/** Says where a database that stays is to be found. */
const report = (name: string, until: string): Effect.Effect<void> =>
  Effect.sync(() => {
    // Not the logger, which a test may have switched off.
    process.stderr.write(`dblive: the test is over, and its database is kept: ${name}${until}\n`)
  })

/** The statements about databases. */
type Statements = ReturnType<typeof statementsOn>

const statementsOn = (connection: Driver.Connection) => {
  const ask: Ask = (text, params) => askEffect(connection, text, params)
  // `WAL_LOG` copies small databases without the two checkpoints of the other strategy, which servers before 15 have only.
  const strategy = Number.parseInt(connection.serverVersion, 10) >= 15 ? " STRATEGY WAL_LOG" : ""
  const key = "hashtextextended($1, 0)"

  const drop = (name: string) => ask(`DROP DATABASE IF EXISTS ${quote(name)} WITH (FORCE)`)

  const create = (name: string, template: string) =>
    ask(`CREATE DATABASE ${quote(name)} TEMPLATE ${quote(template)}${strategy}`)

  const comment = (name: string, text: string) => ask(`COMMENT ON DATABASE ${quote(name)} IS ${literal(text)}`)

  const find = (like: string) =>
    Effect.map(
      ask(
        "SELECT datname, datistemplate, coalesce(shobj_description(oid, 'pg_database'), ''), " +
          "EXISTS (SELECT FROM pg_stat_activity a WHERE a.datid = d.oid) FROM pg_database d WHERE datname LIKE $1",
        [like.replaceAll("_", "\\_")]
      ),
      (rows) =>
        rows.map(([name, isTemplate, comment, isUsed]): readonly [string, Found] => [
          String(name),
          { isTemplate: isTemplate === true, comment: String(comment), isUsed: isUsed === true }
        ])
    )

  const setTemplate = (name: string) =>
    ask(`ALTER DATABASE ${quote(name)} WITH IS_TEMPLATE true ALLOW_CONNECTIONS false`)

  const unsetTemplate = (name: string) => ask(`ALTER DATABASE ${quote(name)} WITH IS_TEMPLATE false`)

  const lock = (name: string) => ask(`SELECT pg_advisory_lock(${key})`, [name])

  const tryLock = (name: string) =>
    Effect.map(ask(`SELECT pg_try_advisory_lock(${key})`, [name]), ([row]) => row?.[0] === true)

  const unlock = (name: string) =>
    // A connection that is gone has no locks.
    Effect.ignore(ask(`SELECT pg_advisory_unlock(${key})`, [name]))

  return { drop, create, comment, find, setTemplate, unsetTemplate, lock, tryLock, unlock }
}

/** Whether there is a template of this name; says that it is used. */
const isUsable = ({ comment, find }: Statements, name: string) =>
  Effect.flatMap(find(name), ([found]) => {
    if (found === undefined || !found[1].isTemplate) {
      return Effect.succeed(false)
    }
    const isFresh = Date.now() - Date.parse(found[1].comment) < day
    // Another one may say so at the same moment.
    return Effect.as(isFresh ? Effect.void : Effect.ignore(comment(name, new Date().toISOString())), true)
  })

/** Builds a template where there is none, while its lock is held. */
const ensure = <E, R>(
  statements: Statements,
  name: string,
  build: (database: string) => Effect.Effect<void, E, R>
) => {
  const { comment, create, drop, lock, setTemplate, unlock } = statements
  const made = Effect.gen(function*() {
    // One that is no template yet was left by a run that did not get to the end.
    yield* drop(name)
    yield* create(name, "template0")
    yield* Effect.onError(build(name), () => Effect.ignore(drop(name)))
    yield* comment(name, new Date().toISOString())
    yield* setTemplate(name)
  })
  const unlessThere = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    Effect.flatMap(isUsable(statements, name), (isThere) => isThere ? Effect.void : effect)
  return unlessThere(
    Effect.acquireUseRelease(Effect.interruptible(lock(name)), () => unlessThere(made), () => unlock(name))
  )
}

/** Drops what was left behind, unless its lock is held. */
const sweepOne = ({ drop, find, tryLock, unlock, unsetTemplate }: Statements, name: string) =>
  Effect.acquireUseRelease(
    tryLock(name),
    (isLocked) =>
      !isLocked ? Effect.void : Effect.flatMap(find(name), ([found]) =>
        // Looked at again: it may have been kept, or used, before the lock was free.
        found === undefined || !isLeftover(name, found[1])
          ? Effect.void
          : Effect.zipRight(found[1].isTemplate ? unsetTemplate(name) : Effect.void, drop(name))),
    (isLocked) => isLocked ? unlock(name) : Effect.void
  )

/** A server by a connection to one of its databases; `until` says how long what is kept stays. */
export const serverOn = (connection: Driver.Connection, by: string, until = ""): Server => {
  const statements = statementsOn(connection)
  const { comment, create, drop, find, lock, unlock } = statements
  return {
    database: (template, keep) => {
      const name = newName(by)
      const from = template === undefined ? "template0" : templateName(by, template.hash)
      const made = Effect.acquireRelease(
        Effect.zipRight(lock(name), create(name, from)),
        (_, exit) =>
          Effect.zipRight(
            keep(exit._tag === "Failure")
              ? Effect.zipRight(Effect.ignore(comment(name, kept)), report(name, until))
              : Effect.ignore(drop(name)),
            unlock(name)
          )
      )
      return Effect.as(
        template === undefined ? made : Effect.retry(Effect.zipRight(ensure(statements, from, template.build), made), {
          // One that was not used for long may be swept just when it is wanted again.
          times: 3,
          while: (error) => isDbError(error) && error.code === noSuchDatabase
        }),
        name
      )
    },

    sweep: Effect.flatMap(
      Effect.zipWith(find(`dblive_test_${digest(by, 6)}_%`), find(templateName(by, "%")), (a, b) => [...a, ...b]),
      Effect.forEach(
        ([name, found]) => isLeftover(name, found) ? Effect.ignore(sweepOne(statements, name)) : Effect.void,
        { discard: true }
      )
    )
  }
}
