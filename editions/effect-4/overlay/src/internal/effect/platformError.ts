/**
 * Why a file system refused something.
 */
import type { PlatformError } from "effect/PlatformError"

/** Whether the process may not do it. */
export const isPermissionDenied = (error: PlatformError): boolean => error.reason._tag === "PermissionDenied"
