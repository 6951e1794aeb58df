/**
 * Migrations as they are found: in a folder, in a record, behind a bundler's glob.
 */
import type { PlatformError } from "@effect/platform/Error"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import type * as SqlClient from "@effect/sql/SqlClient"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { isPermissionDenied } from "../effect/platformError.js"
import * as Checksum from "./Checksum.js"
import type { MigrationError } from "./MigrationError.js"
import * as Errors from "./MigrationError.js"
import * as Name from "./Name.js"
import { replaceKnown } from "./placeholders.js"

/**
 * A migration in TypeScript: an effect that uses `SqlClient` (of the connection and transaction of the migration).
 *
 * @since 0.1.0
 * @category models
 */
export interface EffectMigration<R = never> {
  readonly effect: Effect.Effect<unknown, unknown, R>
  /** Lets a change be noticed, as the checksum of a file does. A repeatable one runs again when it differs. Defaults to none. */
  readonly checksum?: number | undefined
  /** Whether it runs in a transaction. Defaults to true. */
  readonly transaction?: boolean | undefined
}

/** What runs: SQL, read anew each time it is needed, or an effect. */
export type Body =
  | {
    readonly _tag: "Sql"
    /** In bytes. */
    readonly size: number
    readonly content: Stream.Stream<Uint8Array, PlatformError>
  }
  | {
    readonly _tag: "Effect"
    readonly effect: Effect.Effect<unknown, unknown, SqlClient.SqlClient>
    readonly transaction: boolean
  }

/**
 * One migration, ready to be compared with the history and run.
 *
 * @since 0.1.0
 * @category models
 */
export interface Migration extends Name.Name {
  /** The file below its folder, or the key: how errors and the history name it. */
  readonly script: string
  readonly checksum: number | undefined
  readonly body: Body
}

/** What a source is asked with. */
export interface LoadOptions {
  /** The name of the database, for errors. */
  readonly database: string
  /** Checksums of repeatable migrations take these in. */
  readonly placeholders: Readonly<Record<string, string>>
}

/**
 * Where migrations come from.
 *
 * @since 0.1.0
 * @category models
 */
export interface Source<R = never> {
  readonly load: (options: LoadOptions) => Effect.Effect<ReadonlyArray<Migration>, MigrationError, R>
}

/** Files up to this size are read at once; larger ones pass as a stream. */
const smallFile = 1024 * 1024

const parseName = (script: string, name: string, database: string): Effect.Effect<Name.Name, MigrationError> => {
  const parsed = Name.isScriptTooLong(script) ? "the path is longer than the history can record" : Name.parse(name)
  return typeof parsed === "string"
    ? Effect.fail(Errors.make({ reason: "Parse", database, script, problem: parsed, advice: "rename or remove it" }))
    : Effect.succeed(parsed)
}

/** The SQL of a migration, as bytes. */
interface Text {
  readonly size: number
  readonly content: Stream.Stream<Uint8Array, PlatformError>
  /** A small one as one piece. */
  readonly whole: Effect.Effect<Uint8Array, PlatformError> | undefined
}

const sqlMigration = (
  script: string,
  name: Name.Name,
  { content, size, whole }: Text,
  options: LoadOptions
): Effect.Effect<Migration, MigrationError> => {
  const body: Body = { _tag: "Sql", size, content }
  const values = options.placeholders
  const unreadable = (cause: PlatformError) =>
    Errors.make({
      reason: isPermissionDenied(cause) ? "Permission" : "Missing",
      database: options.database,
      script,
      problem: `the file cannot be read: ${cause.message}`,
      cause
    })
  if (name.kind === "repeatable" && Object.keys(values).length > 0) {
    // The values count, as in Flyway: the whole text has to be seen at once.
    return content.pipe(
      Stream.decodeText("utf-8"),
      Stream.mkString,
      Effect.map((text) => ({ ...name, script, body, checksum: Checksum.ofText(replaceKnown(text, values)) })),
      Effect.mapError(unreadable)
    )
  }
  return Effect.suspend(() => {
    const checksum = Checksum.make()
    const feed = (bytes: Uint8Array) => Effect.sync(() => checksum.update(bytes))
    // A thousand small files are checked at every start: each of them as one piece, without a stream.
    return (whole === undefined ? Stream.runForEach(content, feed) : Effect.flatMap(whole, feed)).pipe(
      Effect.map(() => ({ ...name, script, body, checksum: checksum.value() })),
      Effect.mapError(unreadable)
    )
  })
}

const textMigration = (script: string, name: Name.Name, sql: string, options: LoadOptions) => {
  const bytes = new TextEncoder().encode(sql)
  const text: Text = { size: bytes.length, content: Stream.make(bytes), whole: Effect.succeed(bytes) }
  return sqlMigration(script, name, text, options)
}

const isEffectMigration = (u: unknown): u is EffectMigration<unknown> =>
  typeof u === "object" && u !== null && "effect" in u && Effect.isEffect(u.effect)

/** A value that was given for a migration, whatever it is. */
const fromValue = Effect.fnUntraced(function*(script: string, key: string, value: unknown, options: LoadOptions) {
  const name = yield* parseName(script, key, options.database)
  if (typeof value === "string") {
    return yield* textMigration(script, name, value, options)
  }
  const migration = Effect.isEffect(value) ? { effect: value } : value
  if (!isEffectMigration(migration)) {
    return yield* Effect.fail(Errors.make({
      reason: "Parse",
      database: options.database,
      script,
      version: name.version,
      problem: "it is neither SQL text nor an Effect",
      advice: "export the migration's Effect (or its SQL) as default"
    }))
  }
  return {
    ...name,
    script,
    checksum: migration.checksum,
    body: {
      _tag: "Effect",
      // What it requires beside SqlClient is in the type of the source and was provided there (`fromRecord`), or
      // cannot be known (a loaded module) and is the module's own business.
      effect: migration.effect as Effect.Effect<unknown, unknown, SqlClient.SqlClient>,
      transaction: migration.transaction ?? true
    }
  } satisfies Migration
})

/**
 * Migrations by name: SQL text, an Effect, or an {@link EffectMigration}. What their effects require, beside
 * `SqlClient`, is required of the operation.
 *
 * @example
 * ```ts
 * import { DbMigrator } from "dblive"
 * import { SqlClient } from "@effect/sql"
 * import { Effect } from "effect"
 *
 * const migrations = DbMigrator.fromRecord({
 *   V001__Create_note: "CREATE TABLE note (id INTEGER PRIMARY KEY, body TEXT NOT NULL)",
 *   V002__First_note: Effect.gen(function*() {
 *     const sql = yield* SqlClient.SqlClient
 *     yield* sql`INSERT INTO note ${sql.insert({ body: "hello" })}`
 *   })
 * })
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const fromRecord = <
  const T extends Readonly<Record<string, string | Effect.Effect<unknown, unknown, unknown> | EffectMigration<unknown>>>
>(
  record: T
): Source<Exclude<Requirements<T[keyof T]>, SqlClient.SqlClient>> => ({
  load: (options) =>
    Effect.flatMap(
      Effect.context<Exclude<Requirements<T[keyof T]>, SqlClient.SqlClient>>(),
      (context) =>
        Effect.forEach(Object.entries(record), ([key, value]) =>
          Effect.map(fromValue(key, key, value, options), (migration): Migration =>
            migration.body._tag === "Sql" ? migration : {
              ...migration,
              body: {
                ...migration.body,
                // The effect's own SqlClient must win over one that happens to be in the context.
                effect: Effect.mapInputContext(
                  migration.body.effect,
                  (own: Context.Context<SqlClient.SqlClient>) =>
                    Context.merge(context, own)
                )
              }
            }))
    )
})

/** What the effect of a migration requires. */
export type Requirements<T> = T extends Effect.Effect<infer _A, infer _E, infer R> ? R
  : T extends EffectMigration<infer R> ? R
  : never

const baseName = (path: string): string => path.slice(path.lastIndexOf("/") + 1)
const withoutExtension = (name: string): string => name.replace(/\.[^.]+$/, "")

/** A module's default export, or the module itself where a bundler already unwrapped it. */
const unwrap = (module: unknown): unknown =>
  typeof module === "object" && module !== null && "default" in module ? module.default : module

/** The folder that all keys of a glob share, which is no part of their names. */
const commonFolder = (keys: ReadonlyArray<string>): string => {
  let folder = keys[0] === undefined ? "" : keys[0].slice(0, keys[0].lastIndexOf("/") + 1)
  while (folder !== "" && !keys.every((key) => key.startsWith(folder))) {
    folder = folder.slice(0, folder.lastIndexOf("/", folder.length - 2) + 1)
  }
  return folder
}

/**
 * Migrations behind a bundler's glob (`import.meta.glob("./migrations/*")`): paths, each with the function that loads
 * the module, or with what was loaded. A module's default export is SQL text, an Effect or an {@link EffectMigration}.
 *
 * @since 0.1.0
 * @category constructors
 */
export const fromGlob = (loaders: Readonly<Record<string, unknown>>): Source => ({
  load: (options) => {
    const folder = commonFolder(Object.keys(loaders))
    return Effect.forEach(Object.entries(loaders), ([path, loader]) => {
      const script = path.slice(folder.length)
      return Effect.tryPromise({
        try: async (): Promise<unknown> => typeof loader === "function" ? await loader() : loader,
        catch: (cause) => cannotLoad(script, options.database, cause)
      }).pipe(
        Effect.flatMap((module) => fromValue(script, withoutExtension(baseName(path)), unwrap(module), options))
      )
    })
  }
})

const cannotLoad = (script: string, database: string, cause: unknown) =>
  Errors.make({
    reason: "Parse",
    database,
    script,
    problem: `the module cannot be loaded: ${cause instanceof Error ? cause.message : String(cause)}`,
    cause
  })

const isScript = (path: string): boolean => /(?<!\.d)\.[cm]?[jt]s$/.test(path)

/**
 * Migrations in a folder and the folders below it: every `.sql` file, and TypeScript or JavaScript modules whose names
 * begin like a migration's. Other files are left alone; an `.sql` file without a valid name is refused, because
 * leaving it out would be a silent skip.
 *
 * @since 0.1.0
 * @category constructors
 */
export const fromDirectory = (directory: string): Source<FileSystem.FileSystem | Path.Path> => ({
  load: Effect.fnUntraced(function*(options: LoadOptions) {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const files = yield* Effect.mapError(fs.readDirectory(directory, { recursive: true }), (cause) =>
      Errors.make({
        reason: isPermissionDenied(cause) ? "Permission" : "Missing",
        database: options.database,
        problem: `the folder of migrations cannot be read: ${directory}`,
        advice: "create the folder (`npx dblive new NAME` writes a first file into it), or name another one",
        cause
      }))
    const wanted = files.filter((file) =>
      !file.split(/[\\/]/).some((part) => part.startsWith(".") || part === "node_modules") &&
      (/\.sql$/i.test(file) || (isScript(file) && /^(?:[VU]\d|R__)/.test(path.basename(file))))
    )
    return yield* Effect.forEach(wanted, (file) => loadFile(fs, path, directory, file, options), { concurrency: 16 })
  })
})

const loadFile = Effect.fnUntraced(function*(
  fs: FileSystem.FileSystem,
  path: Path.Path,
  directory: string,
  file: string,
  options: LoadOptions
) {
  const script = file.replaceAll("\\", "/")
  const full = path.resolve(directory, file)
  const key = withoutExtension(baseName(script))
  if (isScript(script)) {
    const url = yield* Effect.orDie(path.toFileUrl(full))
    const module = yield* Effect.tryPromise({
      try: (): Promise<unknown> => import(url.href),
      catch: (cause) => cannotLoad(script, options.database, cause)
    })
    return yield* fromValue(script, key, unwrap(module), options)
  }
  const name = yield* parseName(script, key, options.database)
  const cannotRead = (cause: PlatformError) =>
    Errors.make({
      reason: isPermissionDenied(cause) ? "Permission" : "Missing",
      database: options.database,
      script,
      problem: "the file cannot be read",
      cause
    })
  const { size } = yield* Effect.mapError(fs.stat(full), cannotRead)
  const whole = Number(size) <= smallFile ? fs.readFile(full) : undefined
  const content = whole === undefined ? fs.stream(full, { chunkSize: 256 * 1024 }) : Stream.fromEffect(whole)
  return yield* sqlMigration(script, name, { size: Number(size), content, whole }, options)
})
