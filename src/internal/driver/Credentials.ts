/**
 * User names and passwords that are asked for again with every connection, as they were last obtained.
 */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type { DbConfig } from "../../DbConfig.js"

/** A configuration whose credentials are remembered when they are obtained. */
export interface Credentials {
  /** Opens connections: what is asked for with it is remembered here. */
  readonly config: DbConfig
  /** The user's name: the configured one, or the one that was last obtained. */
  readonly username: () => string | undefined
  /** The password: the configured one, or the one that was last obtained. */
  readonly password: () => Redacted.Redacted<string> | undefined
}

/**
 * Remembers what a configuration's credentials were when a connection was last opened, for the published clients' `config`: what
 * reads it (`pg_dump` of `PgMigrator`) connects as the pool does.
 */
export const remembering = (config: DbConfig): Credentials => {
  const { password, username } = config
  let lastName = typeof username === "string" ? username : undefined
  let lastPassword = Redacted.isRedacted(password) ? password : undefined
  return {
    config: {
      ...config,
      username: Effect.isEffect(username)
        ? Effect.tap(username, (name) => Effect.sync(() => void (lastName = name)))
        : username,
      password: password === undefined || Redacted.isRedacted(password)
        ? password
        : Effect.tap(password, (obtained) => Effect.sync(() => void (lastPassword = obtained)))
    },
    username: () => lastName,
    password: () => lastPassword
  }
}
