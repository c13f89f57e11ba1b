-- Wireshark dissector for GVC datagrams, version 1 (protocol/WIRE.md).
-- Use: wireshark -X lua_script:protocol/dissector/gvc.lua flight.pcap   (tshark takes the same option)
-- Capture files carry LINKTYPE_USER0, one datagram or one RS frame a record.

local gvc = Proto("gvc", "Generative Video Compression datagram")

local PARTS = { [0] = "descriptors (D)", [1] = "keyframe (K)", [2] = "features (F)", [3] = "message" }
local RECORDS = {
  [1] = "weights", [2] = "global motion", [3] = "telemetry", [4] = "detections", [5] = "end of stream",
}

local f = {
  sync = ProtoField.uint16("gvc.sync", "Sync word", base.HEX),
  version = ProtoField.uint8("gvc.version", "Version", base.DEC, nil, 0xF0),
  tagged = ProtoField.bool("gvc.tagged", "Tag present", 8, nil, 0x01),
  part = ProtoField.uint16("gvc.part", "Part", base.DEC, PARTS, 0xC000),
  last = ProtoField.bool("gvc.last", "Last block of the part", 16, nil, 0x2000),
  k_sent = ProtoField.bool("gvc.k_sent", "Unit has a keyframe", 16, nil, 0x1000),
  f_sent = ProtoField.bool("gvc.f_sent", "Unit has features", 16, nil, 0x0800),
  length = ProtoField.uint16("gvc.length", "Payload length", base.DEC, nil, 0x07FF),
  stream = ProtoField.uint16("gvc.stream", "Stream id"),
  boot = ProtoField.uint16("gvc.boot", "Boot id"),
  seq = ProtoField.uint24("gvc.seq", "Sequence, low 24 bits"),
  unit = ProtoField.uint16("gvc.unit", "Unit number, low 16 bits"),
  block = ProtoField.uint8("gvc.block", "Block"),
  symbol = ProtoField.uint8("gvc.symbol", "Symbol"),
  k = ProtoField.uint16("gvc.k", "Data symbols of the block (k)"),
  parity = ProtoField.bool("gvc.parity", "Parity symbol"),
  payload = ProtoField.bytes("gvc.payload", "Payload"),
  tag = ProtoField.bytes("gvc.tag", "Tag"),
  crc = ProtoField.uint32("gvc.crc", "CRC-32", base.HEX),
  crc_ok = ProtoField.bool("gvc.crc_ok", "CRC is right"),
  rs = ProtoField.bytes("gvc.rs", "Reed-Solomon frame, not corrected here"),
  d_codec = ProtoField.uint8("gvc.d.codec", "Codec id"),
  d_version = ProtoField.uint8("gvc.d.bitstream", "Bitstream version"),
  d_time = ProtoField.uint64("gvc.d.capture_us", "Capture time, microseconds since 1970"),
  d_width = ProtoField.uint32("gvc.d.width", "Source width"),
  d_height = ProtoField.uint32("gvc.d.height", "Source height"),
  d_num = ProtoField.uint32("gvc.d.fps_num", "Frame rate, numerator"),
  d_den = ProtoField.uint32("gvc.d.fps_den", "Frame rate, denominator"),
  d_first = ProtoField.uint32("gvc.d.first_frame", "First frame"),
  d_frames = ProtoField.uint32("gvc.d.frames", "Frames in the unit"),
  d_total = ProtoField.uint32("gvc.d.total_frames", "Frames of the source, 0 = unknown"),
  d_record = ProtoField.uint8("gvc.d.record", "Record", base.DEC, RECORDS),
  d_value = ProtoField.bytes("gvc.d.value", "Value"),
}
gvc.fields = f

local bad_crc = ProtoExpert.new("gvc.bad_crc", "CRC is wrong", expert.group.CHECKSUM, expert.severity.ERROR)
local cut = ProtoExpert.new("gvc.cut", "Datagram is cut short", expert.group.MALFORMED, expert.severity.ERROR)
gvc.experts = { bad_crc, cut }

-- CRC-32, IEEE 802.3, reflected, polynomial 0xEDB88320. Works with the bit library of Lua 5.1 and 5.2
-- and with the operators' library that newer Wiresharks still ship.
local bits = bit32 or bit
local table32 = {}
for i = 0, 255 do
  local c = i
  for _ = 1, 8 do
    if c % 2 == 1 then
      c = bits.bxor(bits.rshift(c, 1), 0xEDB88320)
    else
      c = bits.rshift(c, 1)
    end
  end
  table32[i] = c
end

local function crc32(range)
  local c = 0xFFFFFFFF
  local bytes = range:bytes()
  for i = 0, bytes:len() - 1 do
    c = bits.bxor(bits.rshift(c, 8), table32[bits.band(bits.bxor(c, bytes:get_index(i)), 0xFF)])
  end
  c = bits.bxor(c, 0xFFFFFFFF)
  if c < 0 then c = c + 4294967296 end
  return c
end

-- One LEB128 number at `at`: value and its length, or nil at the end of the data.
local function varint(range, at)
  local value, scale = 0, 1
  for i = 0, 8 do
    if at + i >= range:len() then return nil end
    local byte = range(at + i, 1):uint()
    value = value + (byte % 128) * scale
    scale = scale * 128
    if byte < 128 then return value, i + 1 end
  end
  return nil
end

-- Part D, where the whole block is this one data symbol (k = 1): offset 3, pad 1, then the fields.
local function descriptors(range, tree)
  if range:len() < 14 then return end
  local pad = range(3, 1):uint()
  if 4 + pad >= range:len() then return end
  local d = range(4, range:len() - 4 - pad)
  local branch = tree:add(gvc, d, "Descriptors")
  branch:add(f.d_codec, d(0, 1))
  branch:add(f.d_version, d(1, 1))
  branch:add(f.d_time, d(2, 8))
  local at = 10
  for _, field in ipairs({ f.d_width, f.d_height, f.d_num, f.d_den, f.d_first, f.d_frames, f.d_total }) do
    local value, size = varint(d, at)
    if value == nil then return end
    branch:add(field, d(at, size), value)
    at = at + size
  end
  while at < d:len() do
    local item = branch:add(f.d_record, d(at, 1))
    local length, size = varint(d, at + 1)
    if length == nil or at + 1 + size + length > d:len() then return end
    if length > 0 then item:add(f.d_value, d(at + 1 + size, length)) end
    at = at + 1 + size + length
  end
end

function gvc.dissector(buffer, info, root)
  info.cols.protocol = "GVC"
  local tree = root:add(gvc, buffer(), "GVC datagram")
  if buffer:len() < 2 then
    tree:add_proto_expert_info(cut)
    return
  end
  local sync = buffer(0, 2):uint()
  tree:add(f.sync, buffer(0, 2))
  if sync == 0x146F then
    tree:add(f.rs, buffer())
    info.cols.info = "RS frame, " .. buffer:len() .. " bytes"
    return
  end
  if sync ~= 0xEB90 or buffer:len() < 21 then
    tree:add_proto_expert_info(cut)
    info.cols.info = "damaged"
    return
  end
  local tagged = bits.band(buffer(2, 1):uint(), 1) == 1
  local length = bits.band(buffer(3, 2):uint(), 0x7FF)
  tree:add(f.version, buffer(2, 1))
  tree:add(f.tagged, buffer(2, 1))
  for _, field in ipairs({ f.part, f.last, f.k_sent, f.f_sent, f.length }) do
    tree:add(field, buffer(3, 2))
  end
  tree:add(f.stream, buffer(5, 2))
  tree:add(f.boot, buffer(7, 2))
  tree:add(f.seq, buffer(9, 3))
  tree:add(f.unit, buffer(12, 2))
  tree:add(f.block, buffer(14, 1))
  local symbol, k = buffer(15, 1):uint(), buffer(16, 1):uint() + 1
  tree:add(f.symbol, buffer(15, 1))
  tree:add(f.k, buffer(16, 1), k)
  tree:add(f.parity, buffer(15, 1), symbol >= k)
  local size = 17 + length + (tagged and 8 or 0) + 4
  if buffer:len() < size then
    tree:add_proto_expert_info(cut)
    info.cols.info = "cut short"
    return
  end
  if length > 0 then tree:add(f.payload, buffer(17, length)) end
  if tagged then tree:add(f.tag, buffer(17 + length, 8)) end
  local crc = tree:add(f.crc, buffer(size - 4, 4))
  local good = crc32(buffer(2, size - 6)) == buffer(size - 4, 4):uint()
  crc:add(f.crc_ok, good):set_generated()
  if not good then crc:add_proto_expert_info(bad_crc) end
  local part = bits.rshift(buffer(3, 1):uint(), 6)
  if part == 0 and k == 1 and length > 0 then descriptors(buffer(17, length), tree) end
  info.cols.info = string.format(
    "stream %d boot %d seq %d unit %d %s block %d symbol %d/%d%s", buffer(5, 2):uint(), buffer(7, 2):uint(),
    buffer(9, 3):uint(), buffer(12, 2):uint(), PARTS[part], buffer(14, 1):uint(), symbol, k,
    good and "" or " BAD CRC")
end

DissectorTable.get("wtap_encap"):add(wtap.USER0, gvc)
