// Asking the server. Errors carry a sentence that says what to do.

const TIMEOUT_MS = 15_000;

export class ApiError extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

/** Return the response; throws ApiError, or AbortError where `signal` says so. */
export async function ask(path, { signal, ...options } = {}) {
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  let response;
  try {
    response = await fetch(path, {
      ...options,
      signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError("The server does not answer. See that it runs and can be reached; this page keeps trying.", 0);
  }
  if (response.status === 401) location.assign("/login");
  if (!response.ok) throw new ApiError(await detailOf(response), response.status);
  return response;
}

async function detailOf(response) {
  try {
    return (await response.json()).detail;
  } catch {
    return `The server answered with an error (${response.status}). Its log says more.`;
  }
}

export async function getJson(path, options) {
  return (await ask(path, options)).json();
}

export async function patchJson(path, document) {
  const response = await ask(path, {
    method: "PATCH",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(document),
  });
  return response.json();
}

const pathOf = (id) => `/api/v1/recordings/${encodeURIComponent(id)}`;

export const recordingPath = pathOf;
export const audioPath = (id) => `${pathOf(id)}/audio`;
export const downloadPath = (id) => `${pathOf(id)}/audio?download=true`;
export const peaksPath = (id) => `${pathOf(id)}/peaks`;
export const taggedPath = (tag) => `/recordings?${new URLSearchParams({ tag })}`;
export const pagePath = (id) => `/recordings/${encodeURIComponent(id)}`;
