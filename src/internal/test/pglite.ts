/**
 * PostgreSQL in this process.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { createHash } from "node:crypto"
import * as fs from "node:fs"
import { createRequire } from "node:module"
import * as os from "node:os"
import * as path from "node:path"
import type { Db } from "../../Db.js"
import type * as DbConfig from "../../DbConfig.js"
import type { ConnectionError } from "../../DbError.js"
import type * as Pglite from "../../driver/Pglite.js"
import { notLoaded } from "../driver/packages.js"
import { hashOf } from "./hash.js"
import {
  type Failure,
  nameOf,
  pool,
  type Preparation,
  prepared,
  type Provides,
  type Rest,
  targetOf,
  template
} from "./prepare.js"

/**
 * Options of a PostgreSQL database in this process.
 *
 * @since 0.1.0
 * @category models
 */
export interface PgliteOptions<Self = Db, Provided = Provides, E = never, R = never, E2 = never, R2 = never>
  extends Preparation<Self, Provided, E, R, E2, R2>
{
  /** Extensions of PGlite, by their names. Defaults to none. */
  readonly extensions?: Readonly<Record<string, object>> | undefined
  /** Further options of the database. */
  readonly options?: Omit<DbConfig.Options, "url" | "type" | "host" | "port" | "database"> | undefined
}

/** Copies that were not used for so long are removed, in milliseconds. */
const keptFor = 7 * 24 * 60 * 60 * 1000

/** Copies of data folders: of each set of migrations one, for all workers and later runs. */
const folder = path.join(os.tmpdir(), `dblive-pglite-copies-${process.getuid?.() ?? 0}`)

/** Its `package.json`; `undefined` where it is not installed. */
const manifest = (): string | undefined => {
  try {
    const main = createRequire(import.meta.url).resolve("@electric-sql/pglite")
    return fs.readFileSync(path.join(path.dirname(main), "../package.json"), "utf8")
  } catch {
    return undefined
  }
}

export const isInstalled = (): boolean => manifest() !== undefined

const version = (): string => String((JSON.parse(manifest() ?? "{}") as { readonly version?: string }).version)

const sweep = (): void => {
  for (const name of fs.readdirSync(folder)) {
    const file = path.join(folder, name)
    if (Date.now() - fs.statSync(file).atimeMs > keptFor) {
      fs.rmSync(file, { force: true })
    }
  }
}

const readCopy = (file: string): Effect.Effect<Blob | undefined> =>
  Effect.sync(() => {
    try {
      const bytes = fs.readFileSync(file)
      const now = new Date()
      fs.utimesSync(file, now, now)
      return new Blob([bytes])
    } catch {
      return undefined
    }
  })

/** Written aside and renamed: a worker that reads it meanwhile reads none or all of it. */
const writeCopy = (file: string, copy: Blob): Effect.Effect<void> =>
  Effect.ignore(Effect.tryPromise(async () => {
    fs.mkdirSync(folder, { recursive: true, mode: 0o700 })
    sweep()
    fs.writeFileSync(`${file}.${process.pid}`, Buffer.from(await copy.arrayBuffer()), { mode: 0o600 })
    fs.renameSync(`${file}.${process.pid}`, file)
  }))

/** Loaded when it is used: no other driver needs its packages. */
const loadDriver = (name: string): Effect.Effect<typeof Pglite, ConnectionError> =>
  Effect.tryPromise({ try: () => import("../../driver/Pglite.js"), catch: notLoaded(name, "pglite") })

/** Copies that this process has read or made. */
const copies = new Map<string, Blob>()

/**
 * PostgreSQL in this process, by PGlite: no server to start, and gone afterwards. The first database with some migrations
 * takes seconds; the following ones, in other workers and later runs too, are copies.
 *
 * It has one connection: statements, sessions and transactions take turns, and what needs two at a time is refused or
 * waits. A statement blocks the process and cannot be stopped.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Db, DbMigrator } from "dblive"
 * import * as DbTest from "dblive/test"
 *
 * const migrations = DbMigrator.fromRecord({ V1__note: "CREATE TABLE note (id int PRIMARY KEY, tags text[])" })
 *
 * const test = Db.query("SELECT tags FROM note").pipe(Effect.provide(DbTest.pglite({ migrations })))
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const pglite = <Self = Db, Provided = Provides, E = never, R = never, E2 = never, R2 = never>(
  options: PgliteOptions<Self, Provided, E, R, E2, R2> = {}
): Layer.Layer<Provided, Failure<E | E2>, Rest<Self, R | R2>> => {
  const target = targetOf(options)
  const open = (driver: typeof Pglite, instance: Pglite.Instance) =>
    target.layerDriver(
      {
        environment: "test",
        ...options.options,
        type: "postgresql",
        host: "pglite.invalid",
        pool: pool(options.options?.pool)
      },
      driver.make(instance)
    )
  const copyOf = (driver: typeof Pglite, key: string, isMigrated: boolean) => {
    const digest = createHash("sha256").update(key).digest("hex").slice(0, 24)
    const file = path.join(folder, `${digest}.tar`)
    const known = copies.get(digest)
    if (known !== undefined) {
      return Effect.succeed(known)
    }
    const make = Effect.scoped(Effect.gen(function*() {
      const instance = yield* driver.start(nameOf(target), { extensions: options.extensions })
      if (isMigrated) {
        yield* template(options, open(driver, instance), Effect.void)
      }
      const copy = yield* Effect.promise(() => instance.dumpDataDir("none"))
      yield* writeCopy(file, copy)
      return copy
    }))
    return Effect.flatMap(readCopy(file), (copy) => copy === undefined ? make : Effect.succeed(copy)).pipe(
      Effect.tap((copy) => Effect.sync(() => copies.set(digest, copy)))
    )
  }
  const made = Effect.gen(function*() {
    const driver = yield* loadDriver(nameOf(target))
    const hash = yield* hashOf(options, nameOf(target))
    const extensions = Object.keys(options.extensions ?? {}).sort()
    const loadDataDir = yield* copyOf(driver, JSON.stringify([version(), extensions, hash ?? ""]), hash !== undefined)
    const instance = yield* driver.start(nameOf(target), { extensions: options.extensions, loadDataDir })
    return prepared(options, open(driver, instance), hash !== undefined)
  })
  return Layer.unwrapScoped(made)
}
