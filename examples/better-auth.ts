/**
 * A published program on `@effect/sql`: Better Auth, by the adapter `better-auth-effect`, on the connections of `Db`.
 *
 *     npx tsx examples/better-auth.ts
 *
 * Set `DATABASE_URL` to run it over PostgreSQL.
 */
import { NodeRuntime } from "@effect/platform-node"
// #region auth
import { SqlClient } from "@effect/sql"
import { betterAuth } from "better-auth"
import { effectSqlAdapter } from "better-auth-effect"
import { Console, Effect, Layer, ManagedRuntime } from "effect"
import { Db, DbLive } from "../src/index.js"

/** Better Auth, whose statements run on the program's pool: they are limited, counted and traced as all others. */
class Auth extends Effect.Service<Auth>()("Auth", {
  scoped: Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    const runtime = yield* Effect.acquireRelease(
      Effect.sync(() => ManagedRuntime.make(Layer.succeed(SqlClient.SqlClient, sql))),
      (runtime) => runtime.disposeEffect
    )
    return betterAuth({
      baseURL: "http://localhost:3000",
      secret: "at least 32 characters, from the environment",
      database: effectSqlAdapter({
        runtime,
        dialect: sql.onDialectOrElse({ pg: () => "pg" as const, mysql: () => "mysql", orElse: () => "sqlite" })
      }),
      emailAndPassword: { enabled: true },
      telemetry: { enabled: false }
    })
  })
}) {}
// #endregion

/** Its tables: https://better-auth.com/docs/concepts/database. A program has them in a migration. */
const createTables = (date: string) =>
  Db.script(`
    DROP TABLE IF EXISTS "verification";
    DROP TABLE IF EXISTS "account";
    DROP TABLE IF EXISTS "session";
    DROP TABLE IF EXISTS "user";
    CREATE TABLE "user" (
      "id" text PRIMARY KEY, "name" text NOT NULL, "email" text NOT NULL UNIQUE, "emailVerified" boolean NOT NULL,
      "image" text, "createdAt" ${date} NOT NULL, "updatedAt" ${date} NOT NULL
    );
    CREATE TABLE "session" (
      "id" text PRIMARY KEY, "expiresAt" ${date} NOT NULL, "token" text NOT NULL UNIQUE, "createdAt" ${date} NOT NULL,
      "updatedAt" ${date} NOT NULL, "ipAddress" text, "userAgent" text, "userId" text NOT NULL REFERENCES "user" ("id")
    );
    CREATE TABLE "account" (
      "id" text PRIMARY KEY, "accountId" text NOT NULL, "providerId" text NOT NULL, "userId" text NOT NULL REFERENCES "user" ("id"),
      "accessToken" text, "refreshToken" text, "idToken" text, "accessTokenExpiresAt" ${date}, "refreshTokenExpiresAt" ${date},
      "scope" text, "password" text, "createdAt" ${date} NOT NULL, "updatedAt" ${date} NOT NULL
    );
    CREATE TABLE "verification" (
      "id" text PRIMARY KEY, "identifier" text NOT NULL, "value" text NOT NULL, "expiresAt" ${date} NOT NULL,
      "createdAt" ${date} NOT NULL, "updatedAt" ${date} NOT NULL
    )
  `)

const program = Effect.gen(function*() {
  const sql = yield* Db.sql
  yield* createTables(sql.onDialectOrElse({ pg: () => "timestamptz", orElse: () => "text" }))
  // #region use
  const auth = yield* Auth
  const body = { name: "Ada", email: "ada@example.org", password: "correct horse battery" }
  const signedUp = yield* Effect.tryPromise(() => auth.api.signUpEmail({ body }))
  const signedIn = yield* Effect.tryPromise(() => auth.api.signInEmail({ body }))
  const again = yield* Effect.tryPromise(() => auth.api.signUpEmail({ body })).pipe(Effect.flip)
  // #endregion
  yield* Console.log(`signed up: ${signedUp.user.name}, in: ${signedIn.user.email}`)
  yield* Console.log(`again: ${again.cause}`)
  const sessions = yield* Db.query("SELECT * FROM \"session\" WHERE \"userId\" = :id", { id: signedUp.user.id })
  const { transactions } = yield* Db.metrics
  yield* Console.log(`${sessions.length} sessions, ${transactions.committed} transaction`)
})

program.pipe(Effect.provide(Auth.Default), Effect.provide(DbLive), NodeRuntime.runMain)
