/**
 * What a client has seen of a database, from one of its requests to the next.
 */
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { Members } from "../../Db.js"
import { apart } from "../replicas/Seen.js"

type Response = HttpServerResponse.HttpServerResponse

/**
 * How a client keeps what it has seen.
 *
 * @since 0.2.0
 * @category models
 */
export interface TokenOptions {
  /** A cookie, which browsers give back by themselves, or a header, which the client has to give back. Defaults to `cookie`. */
  readonly in?: "cookie" | "header" | undefined
  /** Of the cookie or header. Defaults to `dblive-token-` and the database's name. */
  readonly name?: string | undefined
  /**
   * How long the cookie is kept; it should be longer than `replication.maxLag`, behind which a replica serves no reads. Defaults to 1
   * minute.
   */
  readonly maxAge?: Duration.DurationInput | undefined
}

/** A name of a header, and of a cookie. */
const defaultName = (database: string): string => `dblive-token-${database.replace(/[^\w-]/g, "_").toLowerCase()}`

/**
 * Gives the handler what the client has seen, and the client what the handler has. A text that is no token is not one of ours, and
 * is as none. Where what the handler has seen cannot be found out, its response goes without: what it did is done.
 */
export const withToken = <Self, E, R>(
  database: Pick<Members<Self>, "token" | "withToken">,
  databaseName: string,
  app: Effect.Effect<Response, E, R>,
  { in: place = "cookie", maxAge = "1 minute", name = defaultName(databaseName) }: TokenOptions
): Effect.Effect<Response, E, R | Self | HttpServerRequest.HttpServerRequest> =>
  Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
    const given = place === "cookie" ? request.cookies[name] : request.headers[name.toLowerCase()]
    const seen = Effect.ignore(database.withToken(Effect.void, given))
    const give = (response: Response): Effect.Effect<Response, never, Self> =>
      Effect.match(database.token, {
        onFailure: () => response,
        onSuccess: (token) =>
          token === undefined
            ? response
            : place === "header"
            ? HttpServerResponse.setHeader(response, name, token)
            : HttpServerResponse.unsafeSetCookie(response, name, token, {
              httpOnly: true,
              maxAge,
              path: "/",
              sameSite: "lax"
            })
      })
    return apart(Effect.zipRight(seen, Effect.flatMap(app, give)))
  })
