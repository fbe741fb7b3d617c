// Listening to a live tap by WebRTC (WHEP).

/**
 * Let the user hear a live tap from now on.
 *
 * `channels` is "mixed", or "stereo" for speak on the left and listen on the right.
 * `onEnd` is called once when there is nothing more to hear, unless `stop` was.
 * Resolves to {stream, connection, stop}; rejects with the server's own words.
 */
export async function listen(controlId, { channels = "mixed", onEnd = () => {} } = {}) {
  const connection = new RTCPeerConnection();
  try {
    return await connect(connection, controlId, channels, onEnd);
  } catch (error) {
    connection.close();
    throw error;
  }
}

async function connect(connection, controlId, channels, onEnd) {
  const { receiver } = connection.addTransceiver("audio", { direction: "recvonly" });
  const offer = await connection.createOffer();
  // Browsers decode Opus to one channel unless they ask for two.
  offer.sdp = offer.sdp.replace("useinbandfec=1", "useinbandfec=1;stereo=1");
  await connection.setLocalDescription(offer);
  const address = `/api/v1/taps/${encodeURIComponent(controlId)}/whep`;
  const response = await fetch(`${address}?channels=${channels}`, {
    method: "POST",
    headers: { "Content-Type": "application/sdp" },
    body: offer.sdp,
  });
  if (!response.ok) throw new Error((await response.json()).detail);
  const resource = response.headers.get("Location");

  await connection.setRemoteDescription({ type: "answer", sdp: await response.text() });
  const { transport } = receiver;
  const look = () => {
    const isOver = ["closed", "failed"].includes(transport.state);
    if (!isOver && connection.connectionState !== "failed") return;
    transport.removeEventListener("statechange", look);
    connection.removeEventListener("connectionstatechange", look);
    connection.close();
    onEnd();
  };
  // The server says goodbye over DTLS, long before ICE would notice.
  transport.addEventListener("statechange", look);
  connection.addEventListener("connectionstatechange", look);
  const stop = async () => {
    transport.removeEventListener("statechange", look);
    connection.removeEventListener("connectionstatechange", look);
    connection.close();
    await fetch(resource, { method: "DELETE" });
  };
  return { stream: new MediaStream([receiver.track]), connection, stop };
}
