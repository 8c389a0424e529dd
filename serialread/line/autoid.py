"""The types of OPC 30010 (AutoID) that an OCR reader needs, and those of OPC 10000-100 (DI) below them.

Names, node ids and field orders are those of the specifications, so that clients that know the companion
specification find their way; the nodes themselves are made here. Optional parts that a reader of codes has no
values for (locations, logbook, image files) are left out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from asyncua import Node, Server, ua
from asyncua.common.manage_nodes import create_data_type, create_encoding
from asyncua.common.structures104 import (
    load_basetype_alias_xml_import,
    load_custom_struct,
    load_enums,
    new_enum_field,
    new_struct_field,
)

from serialread.line.events import Outcome, Result

DI_URI = "http://opcfoundation.org/UA/DI/"
AUTOID_URI = "http://opcfoundation.org/UA/AutoID/"
MODEL_VERSION = "1.01"
RAW_STRING = "RAW:STRING"
"""Code type of plain text, OPC 30010 9.1.3."""

_STRINGS = {"LocationName": 3021, "NmeaCoordinateString": 3012, "CodeTypeDataType": 3031}
"""Subtypes of String with their node ids."""

OperationStatus = IntEnum(
    "OperationStatus",
    "SUCCESS MISC_ERROR_TOTAL MISC_ERROR_PARTIAL PERMISSON_ERROR PASSWORD_ERROR REGION_NOT_FOUND_ERROR"
    " OP_NOT_POSSIBLE_ERROR OUT_OF_RANGE_ERROR NO_IDENTIFIER MULTIPLE_IDENTIFIERS READ_ERROR DECODING_ERROR"
    " MATCH_ERROR CODE_NOT_SUPPORTED WRITE_ERROR NOT_SUPPORTED_BY_DEVICE NOT_SUPPORTED_BY_TAG"
    " DEVICE_NOT_READY INVALID_CONFIGURATION RF_COMMUNICATION_ERROR DEVICE_FAULT TAG_HAS_LOW_BATTERY",
    start=0,
)
"""What became of a Scan, OPC 30010 9.2.1; the specification spells PERMISSON_ERROR so."""

_ENUMERATIONS: Mapping[str, tuple[int, Sequence[str]]] = {
    "DeviceStatusEnumeration": (3003, ("Idle", "Error", "Scanning", "Busy")),
    "LocationTypeEnumeration": (3009, ("NMEA", "LOCAL", "WGS84", "NAME")),
    "AutoIdOperationStatusEnumeration": (3013, [one.name for one in OperationStatus]),
}
"""Node ids and values, from 0, of enumerations, OPC 30010 9.2."""


@dataclass(frozen=True, slots=True)
class _Structure:
    """A structure of OPC 30010 9.3 and 9.4; ``fields`` are "Name Type" pairs, "?" after optional ones."""

    name: str
    id: int
    encoding_id: int
    fields: tuple[str, ...]
    parent: str = "Structure"


_STRUCTURES = (
    _Structure(
        "Position",
        3004,
        5007,
        ("PositionX Int32", "PositionY Int32", "SizeX Int32", "SizeY Int32", "Rotation Int32"),
    ),
    _Structure("ScanDataEpc", 3024, 5036, ("PC UInt16", "UId ByteString", "XPC_W1 UInt16", "XPC_W2 UInt16")),
    _Structure(
        "LocalCoordinate",
        3019,
        5028,
        (
            *("X Double", "Y Double", "Z Double", "Timestamp UtcTime"),
            *("DilutionOfPrecision Double", "UsefulPrecision Int32"),
        ),
    ),
    _Structure(
        "WGS84Coordinate",
        3027,
        5046,
        (
            *("N/S Hemisphere String", "Latitude Double", "E/W Hemisphere String", "Longitude Double"),
            *("Altitude Double", "Timestamp UtcTime", "DilutionOfPrecision Double"),
            *("UsefulPrecisionLatLon Int32", "UsefulPrecisionAlt Int32"),
        ),
    ),
    _Structure(
        "Location",
        3008,
        5013,
        ("NMEA NmeaCoordinateString", "Local LocalCoordinate", "WGS84 WGS84Coordinate", "Name LocationName"),
        parent="Union",
    ),
    _Structure(
        "ScanData",
        3020,
        5030,
        ("ByteString ByteString", "String String", "Epc ScanDataEpc", "Custom BaseDataType"),
        parent="Union",
    ),
    _Structure(
        "ScanSettings",
        3010,
        5015,
        (
            "Duration Duration",
            "Cycles Int32",
            "DataAvailable Boolean",
            "LocationType LocationTypeEnumeration?",
        ),
    ),
    _Structure(
        "ScanResult",
        3001,
        5002,
        ("CodeType CodeTypeDataType", "ScanData ScanData", "Timestamp UtcTime", "Location Location?"),
    ),
    _Structure(
        "OcrScanResult",
        3002,
        5004,
        ("ImageId NodeId", "Quality Byte", "Position Position", "Font String?", "DecodingTime UtcTime?"),
        parent="ScanResult",
    ),
)


@dataclass(frozen=True, slots=True)
class _Member:
    """A child of a type: a property, a variable, or an object with variables of its own."""

    name: str
    id: int
    type: str
    value: Any = None
    is_property: bool = True
    optional: bool = False


_DEVICE_MEMBERS = (
    _Member("SerialNumber", 6001, "String", ""),
    _Member("RevisionCounter", 6002, "Int32", -1),
    _Member("Manufacturer", 6003, "LocalizedText", ua.LocalizedText("serialread")),
    _Member("Model", 6004, "LocalizedText", ua.LocalizedText("serialread")),
    _Member("DeviceManual", 6005, "String", ""),
    _Member("DeviceRevision", 6006, "String", ""),
    _Member("SoftwareRevision", 6007, "String", ""),
    _Member("HardwareRevision", 6008, "String", ""),
)
"""Properties of the DeviceType of DI; a revision counter of -1 is not supported."""

_AUTOID_MEMBERS = (
    _Member("DeviceName", 6124, "String", ""),
    _Member("AutoIdModelVersion", 6193, "String", MODEL_VERSION),
    _Member("DeviceStatus", 6030, "DeviceStatusEnumeration", 0, is_property=False),
    _Member("DeviceInfo", 6026, "String", "", optional=True),
    _Member("ScanActive", 6099, "Boolean", False, is_property=False, optional=True),
    _Member("LastScanData", 6055, "String", "", is_property=False, optional=True),
    _Member("LastScanTimestamp", 6096, "UtcTime", None, is_property=False, optional=True),
)


@dataclass(frozen=True, slots=True)
class AutoIdTypes:
    """The types, in the address space of a server.

    Attributes:
        device_set: the object below which devices are found.
        reader_type: OcrReaderDeviceType.
        event_type: OcrScanEventType.
        namespace: index of the namespace of AutoID.
        structures: Python classes of the structures by name.
    """

    device_set: Node
    reader_type: Node
    event_type: Node
    namespace: int
    structures: Mapping[str, Any]


async def add_autoid_types(server: Server) -> AutoIdTypes:
    """Add all types to the address space of a server that has been initialized."""
    di, autoid = [await server.register_namespace(uri) for uri in (DI_URI, AUTOID_URI)]
    data_types = await _add_data_types(server, autoid)
    await load_enums(server)
    structures = {one.name: await load_custom_struct(data_types[one.name]) for one in _STRUCTURES}
    types = server.nodes.base_object_type
    element = await types.add_object_type(ua.NodeId(1001, di), f"{di}:TopologyElementType")
    component = await element.add_object_type(ua.NodeId(15063, di), f"{di}:ComponentType")
    device = await component.add_object_type(ua.NodeId(1002, di), f"{di}:DeviceType")
    group = await server.nodes.folder_type.add_object_type(ua.NodeId(1005, di), f"{di}:FunctionalGroupType")
    for abstract in (element, component, device):
        await _set_abstract(abstract)
    await _add_members(device, di, _DEVICE_MEMBERS, data_types)
    base = await device.add_object_type(ua.NodeId(1001, autoid), f"{autoid}:AutoIdDeviceType")
    await _set_abstract(base)
    await _add_members(base, autoid, _AUTOID_MEMBERS, data_types)
    reader = await base.add_object_type(ua.NodeId(1002, autoid), f"{autoid}:OcrReaderDeviceType")
    await _add_reader_members(reader, autoid, group, data_types)
    event = await _add_event_types(server, autoid, data_types)
    for source, kind in ((base, await event.get_parent()), (reader, event)):
        await source.add_reference(kind, ua.ObjectIds.GeneratesEvent)
    device_set = await server.nodes.objects.add_object(ua.NodeId(5001, di), f"{di}:DeviceSet")
    return AutoIdTypes(device_set, reader, event, autoid, structures)


def operation_status(result: Result) -> OperationStatus:
    """What a Scan returns as its status."""
    if not result.text:
        return OperationStatus.NO_IDENTIFIER
    if result.distance:
        return OperationStatus.MATCH_ERROR
    return OperationStatus.SUCCESS if result.outcome is Outcome.PASS else OperationStatus.DECODING_ERROR


def scan_results(result: Result, structures: Mapping[str, Any]) -> list[Any]:
    """A result as OcrScanResult structures: one, or none if nothing was read.

    Args:
        result: the result.
        structures: Python classes of the structures, as ``AutoIdTypes`` has them.
    """
    if not result.text:
        return []
    data = structures["ScanData"]()
    data.String = result.text
    return [
        structures["OcrScanResult"](
            CodeType=RAW_STRING,
            ScanData=data,
            Timestamp=result.finished_at,
            ImageId=ua.NodeId(),
            Quality=round(100 * (result.record["confidence"] or 0)),
            Position=structures["Position"](*_position(result.record["quad"])),
        )
    ]


def _position(quad: Sequence[Sequence[float]] | None) -> tuple[int, int, int, int, int]:
    """Left, top, width, height of a line and its rotation, px and degrees; zeros if it is not known.

    Args:
        quad: corners (x, y) in picture px, clockwise from the text's top-left.
    """
    if quad is None:
        return (0, 0, 0, 0, 0)
    corners = np.asarray(quad)
    (left, top), (right, bottom) = corners.min(axis=0), corners.max(axis=0)
    along = corners[1] - corners[0]
    angle = float(np.degrees(np.arctan2(along[1], along[0])))
    return (round(left), round(top), round(right - left), round(bottom - top), round(angle))


async def _add_data_types(server: Server, autoid: int) -> dict[str, Node]:
    """Every data type by its name."""
    made: dict[str, Node] = {}
    string = server.get_node(ua.NodeId(ua.ObjectIds.String))
    for name, number in _STRINGS.items():
        made[name] = await create_data_type(string, ua.NodeId(number, autoid), ua.QualifiedName(name, autoid))
        await load_basetype_alias_xml_import(server, name, made[name].nodeid, string.nodeid)
    for name, (number, values) in _ENUMERATIONS.items():
        made[name] = await create_data_type(
            server.nodes.enum_data_type, ua.NodeId(number, autoid), ua.QualifiedName(name, autoid)
        )
        fields = [new_enum_field(value) for value in values]
        for value, field in enumerate(fields):
            field.Value = value
        await made[name].write_data_type_definition(ua.EnumDefinition(Fields=fields))
    for structure in _STRUCTURES:
        made[structure.name] = await _add_structure(server, autoid, structure, made)
    await _set_abstract(made["ScanResult"])
    return made


async def _add_structure(
    server: Server, autoid: int, structure: _Structure, made: Mapping[str, Node]
) -> Node:
    parent = _node(server, structure.parent, made)
    name = ua.QualifiedName(structure.name, autoid)
    node = await create_data_type(parent, ua.NodeId(structure.id, autoid), name)
    encoding = await create_encoding(
        node, ua.NodeId(structure.encoding_id, autoid), ua.QualifiedName("Default Binary")
    )
    fields = [field for one in _STRUCTURES if one.name == structure.parent for field in one.fields]
    pairs = [field.rsplit(" ", 1) for field in (*fields, *structure.fields)]
    optional = any(kind.endswith("?") for _, kind in pairs)
    kinds = ua.StructureType
    await node.write_data_type_definition(
        ua.StructureDefinition(
            DefaultEncodingId=encoding.nodeid,
            BaseDataType=parent.nodeid,
            StructureType=kinds.Union
            if structure.parent == "Union"
            else (kinds.StructureWithOptionalFields if optional else kinds.Structure),
            Fields=[
                new_struct_field(name, _node(server, kind.rstrip("?"), made), optional=kind.endswith("?"))
                for name, kind in pairs
            ],
        )
    )
    return node


def _node(server: Server, name: str, made: Mapping[str, Node]) -> Node:
    """The data type of a name: one of these, or one that every server has."""
    return made[name] if name in made else server.get_node(ua.NodeId(getattr(ua.ObjectIds, name)))


async def _set_abstract(node: Node) -> None:
    await node.write_attribute(ua.AttributeIds.IsAbstract, ua.DataValue(True))


async def _add_members(
    parent: Node, namespace: int, members: tuple[_Member, ...], data_types: Mapping[str, Node]
) -> None:
    for member in members:
        add = parent.add_property if member.is_property else parent.add_variable
        data_type = data_types[member.type].nodeid if member.type in data_types else None
        data_type = data_type or ua.NodeId(getattr(ua.ObjectIds, member.type))
        kind = ua.VariantType.Int32 if member.type in _ENUMERATIONS else _VARIANTS[member.type]
        node = await add(
            ua.NodeId(member.id, namespace), f"{namespace}:{member.name}", member.value, kind, data_type
        )
        await node.set_modelling_rule(not member.optional)


_VARIANTS = {
    "String": ua.VariantType.String,
    "Int32": ua.VariantType.Int32,
    "Boolean": ua.VariantType.Boolean,
    "LocalizedText": ua.VariantType.LocalizedText,
    "UtcTime": ua.VariantType.DateTime,
}


async def _add_reader_members(reader: Node, autoid: int, group: Node, data_types: Mapping[str, Node]) -> None:
    """RuntimeParameters with MatchCode, and the Scan method."""
    parameters = await reader.add_object(ua.NodeId(5043, autoid), f"{autoid}:RuntimeParameters", group.nodeid)
    await parameters.set_modelling_rule(False)
    code = await parameters.add_variable(
        ua.NodeId(6134, autoid), f"{autoid}:MatchCode", "", ua.VariantType.String
    )
    await code.set_modelling_rule(False)
    await code.set_writable()
    scan = await reader.add_method(
        ua.NodeId(7001, autoid),
        ua.QualifiedName("Scan", autoid),
        None,
        [_argument("Settings", data_types["ScanSettings"])],
        [
            _argument("Results", data_types["OcrScanResult"], ua.ValueRank.OneDimension),
            _argument("Status", data_types["AutoIdOperationStatusEnumeration"]),
        ],
    )
    await scan.set_modelling_rule(False)


def _argument(name: str, data_type: Node, rank: ua.ValueRank = ua.ValueRank.Scalar) -> ua.Argument:
    return ua.Argument(Name=name, DataType=data_type.nodeid, ValueRank=rank)


async def _add_event_types(server: Server, autoid: int, data_types: Mapping[str, Node]) -> Node:
    """AutoIdScanEventType and below it OcrScanEventType, which is returned."""
    scan = await server.nodes.base_event_type.add_object_type(
        ua.NodeId(1004, autoid), f"{autoid}:AutoIdScanEventType"
    )
    ocr = await scan.add_object_type(ua.NodeId(1005, autoid), f"{autoid}:OcrScanEventType")
    for kind, number, result in ((scan, 6024, "ScanResult"), (ocr, 6041, "OcrScanResult")):
        await _set_abstract(kind)
        results = await kind.add_property(
            ua.NodeId(number, autoid),
            f"{autoid}:ScanResult",
            [],
            ua.VariantType.ExtensionObject,
            data_types[result].nodeid,
        )
        await results.set_modelling_rule(True)
    name = await scan.add_property(ua.NodeId(6049, autoid), f"{autoid}:DeviceName", "", ua.VariantType.String)
    await name.set_modelling_rule(True)
    return ocr
