/** The guard of the status page. */
import { HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { Config, Effect, Option, Redacted } from "effect"
import { createHash, timingSafeEqual } from "node:crypto"
import type * as DbHttp from "../../src/DbHttp.js"

type Guard = DbHttp.Guard<never, HttpServerRequest.HttpServerRequest>

// #region guard
/** HTTP's own question for a password; compared in a time that tells nothing of it. */
export const password = (expected: Redacted.Redacted): Guard => {
  const digest = (text: string) => createHash("sha256").update(text).digest()
  return (page) =>
    Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ headers }) => {
      const [, given = ""] = Buffer.from((headers["authorization"] ?? "").slice("Basic ".length), "base64")
        .toString().split(/:(.*)/s)
      return timingSafeEqual(digest(given), digest(Redacted.value(expected)))
        ? page
        : Effect.succeed(
          HttpServerResponse.empty({ status: 401, headers: { "www-authenticate": "Basic realm=\"status\"" } })
        )
    })
}
// #endregion

/** By the address of the client, and by the name that it asked for: pages of other sites must not reach it by a name of theirs. */
const isLocal = ({ headers, remoteAddress }: HttpServerRequest.HttpServerRequest): boolean =>
  /^(?:::1|(?:::ffff:)?127\.[\d.]+)$/.test(Option.getOrElse(remoteAddress, () => "")) &&
  /^(?:localhost|127\.0\.0\.1|\[::1\])(?::\d+)?$/.test(headers["host"] ?? "")

/** For development: clients on this machine only. Not behind a proxy: all requests would seem to come from here. */
const thisMachine: Guard = (page) =>
  Effect.flatMap(
    HttpServerRequest.HttpServerRequest,
    (request) => isLocal(request) ? page : Effect.succeed(HttpServerResponse.empty({ status: 404 }))
  )

/** The password of STATUS_PASSWORD. Without one: this machine in development, and no client at all in production. */
export const guard: Effect.Effect<Guard | undefined> = Effect.map(
  Effect.orDie(Effect.all({
    expected: Config.option(Config.redacted("STATUS_PASSWORD")),
    environment: Config.string("NODE_ENV").pipe(Config.withDefault("development"))
  })),
  ({ environment, expected }) =>
    Option.isSome(expected) ? password(expected.value) : environment === "production" ? undefined : thisMachine
)
