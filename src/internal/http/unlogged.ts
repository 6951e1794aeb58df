/**
 * Routes that are asked every few seconds, which would fill the log.
 */
import * as HttpMiddleware from "@effect/platform/HttpMiddleware"

/** A handler whose requests are not logged. */
export const unlogged = HttpMiddleware.withLoggerDisabled
