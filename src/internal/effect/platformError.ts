/**
 * Why a file system refused something.
 */
import type { PlatformError } from "@effect/platform/Error"

/** Whether the process may not do it. */
export const isPermissionDenied = (error: PlatformError): boolean =>
  error._tag === "SystemError" && error.reason === "PermissionDenied"
