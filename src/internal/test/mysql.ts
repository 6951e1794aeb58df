/**
 * A private database on a MySQL or MariaDB server.
 */
import type { ConfigError } from "effect/ConfigError"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import type { Db } from "../../Db.js"
import * as DbConfig from "../../DbConfig.js"
import type { DbError } from "../../DbError.js"
import { notLoaded } from "../driver/packages.js"
import { askEffect } from "./decorate.js"
import {
  type Failure,
  nameOf,
  pool,
  type Preparation,
  prepared,
  type Provides,
  type Rest,
  targetOf
} from "./prepare.js"
import { newName } from "./template.js"

/** Options of a private MySQL database. */
export interface MysqlOptions<Self = Db, Provided = Provides, E = never, R = never, E2 = never, R2 = never>
  extends Preparation<Self, Provided, E, R, E2, R2>
{
  /** The server, with a user that may create databases. */
  readonly url: Redacted.Redacted<string>
  /** Further options of the database. */
  readonly options?: Omit<DbConfig.Options, "url" | "type" | "database"> | undefined
}

/** Makes a database beside the one that the URL names, and drops it with the scope. */
const created = (
  name: string,
  url: Redacted.Redacted<string>
): Effect.Effect<string, DbError | ConfigError, Scope.Scope> =>
  Effect.gen(function*() {
    const config = yield* DbConfig.resolve(name, { url, pool: { connectTimeout: "30 seconds" }, connectOnStart: false })
    const { make } = yield* Effect.tryPromise({
      try: () => import("../../driver/Mysql.js"),
      catch: notLoaded(name, "mysql")
    })
    const driver = yield* make(config)
    const open = Effect.acquireRelease(
      driver.open,
      (connection) => Effect.async<void>((resume) => connection.close(() => resume(Effect.void)))
    )
    const database = newName(driver.target.namespace)
    const run = (text: string) => Effect.scoped(Effect.flatMap(open, (connection) => askEffect(connection, text)))
    // A connection for each: one that waits for the end of a test would be closed by the server.
    return yield* Effect.as(
      Effect.acquireRelease(
        run(`CREATE DATABASE \`${database}\` CHARACTER SET utf8mb4`),
        () => Effect.ignore(run(`DROP DATABASE IF EXISTS \`${database}\``))
      ),
      database
    )
  })

/** A private database on a MySQL or MariaDB server. There are no templates there: the migrations run in each. */
export const mysql = <Self = Db, Provided = Provides, E = never, R = never, E2 = never, R2 = never>(
  options: MysqlOptions<Self, Provided, E, R, E2, R2>
): Layer.Layer<Provided, Failure<E | E2>, Rest<Self, R | R2>> => {
  const target = targetOf(options)
  return Layer.unwrapScoped(Effect.map(created(nameOf(target), options.url), (database) =>
    prepared(
      options,
      target.layer({
        environment: "test",
        ...options.options,
        url: options.url,
        database,
        pool: pool(options.options?.pool)
      }),
      false
    )))
}
